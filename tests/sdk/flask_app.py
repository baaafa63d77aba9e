"""A shop in Flask whose payment breaks: a ValueError raised from a ConnectionError, in a request of a known user."""

import json
import os

import sentry_sdk
from flask import Flask

sent = []


def remember(event, _hint):
    sent.append(event["event_id"])
    return event


sentry_sdk.init(
    dsn=os.environ["SENTRY_DSN"],
    release="shop@1.4.2",
    environment="production",
    send_default_pii=True,
    before_send=remember,
)
app = Flask("shop")


def charge(order):
    amount = order["amount"]
    raise ConnectionError(f"gateway refused {amount}")


def pay(order):
    try:
        charge(order)
    except ConnectionError as error:
        raise ValueError("payment failed for order 4711") from error


@app.get("/checkout/<order_id>")
def checkout(order_id):
    sentry_sdk.set_user({"id": "u-42", "email": "ada@example.com"})
    sentry_sdk.set_tag("plan", "pro")
    sentry_sdk.add_breadcrumb(category="cart", message="checkout opened", level="info")
    pay({"id": order_id, "amount": 1999})
    return "paid"


if __name__ == "__main__":
    status = app.test_client().get("/checkout/4711?coupon=spring").status_code
    assert status == 500, status
    sentry_sdk.flush(timeout=20)
    print(json.dumps({"event_ids": sent}))
