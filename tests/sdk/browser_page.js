// The page's script: a click on #pay throws a TypeError that nobody catches.
import * as Sentry from "@sentry/browser";

window.sent = [];
Sentry.init({
  dsn: window.DSN,
  release: "shop@1.4.2",
  environment: "production",
  beforeSend(event) {
    window.sent.push(event.event_id);
    return event;
  },
});
Sentry.setUser({ id: "u-42", email: "ada@example.com" });
Sentry.setTag("plan", "pro");

function charge(order) {
  return order.card.number;
}

document.querySelector("#pay").addEventListener("click", function onPay() {
  charge({ id: 4711 });
});
window.flushed = () => Sentry.flush(20_000);
