// A shop in Express whose payment breaks: a TypeError in a request of a known user.
const Sentry = require("@sentry/node");

const sent = [];
Sentry.init({
  dsn: process.env.SENTRY_DSN,
  release: "shop@1.4.2",
  environment: "production",
  beforeSend(event) {
    sent.push(event.event_id);
    return event;
  },
});
const express = require("express");

const app = express();

function charge(order) {
  return order.card.number;
}

function pay(order) {
  return charge(order);
}

app.get("/checkout/:order", (request, response) => {
  Sentry.setUser({ id: "u-42", email: "ada@example.com" });
  Sentry.setTag("plan", "pro");
  Sentry.addBreadcrumb({ category: "cart", message: "checkout opened", level: "info" });
  response.send(pay({ id: request.params.order }));
});
Sentry.setupExpressErrorHandler(app);
// Quiet: the default handler prints the stack, which is expected here.
app.use((_error, _request, response, _next) => response.status(500).send("broken"));

const server = app.listen(0, "127.0.0.1", async () => {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/checkout/4711?coupon=spring`);
  if (answer.status !== 500) throw new Error(`expected 500, got ${answer.status}`);
  if (!(await Sentry.flush(20_000))) throw new Error("the SDK could not send everything");
  console.log(JSON.stringify({ event_ids: sent }));
  process.exit(0);
});
