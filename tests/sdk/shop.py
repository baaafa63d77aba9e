"""A shop that breaks as a whole. While the file BROKEN is there its database refuses: its pages fail, and its job does
not get to its ping."""

import os
import threading
import time
import urllib.request

import sentry_sdk
from flask import Flask

sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], release="shop@1.4.2", environment="production")
app = Flask("shop")


class DatabaseRefused(Exception):
    pass


def query(what):
    if os.path.exists(os.environ["BROKEN"]):
        raise DatabaseRefused("too many connections")
    return what


@app.get("/checkout")
def checkout():
    # Who cannot pay is as bad as it gets.
    sentry_sdk.set_level("fatal")
    return query("paid")


@app.get("/health")
def health():
    try:
        return query("ok")
    except DatabaseRefused as error:
        return str(error), 503


def job():
    while True:
        try:
            query("orders of the last second")
            urllib.request.urlopen(os.environ["PING_URL"], timeout=5).close()
        except (DatabaseRefused, OSError):
            pass
        time.sleep(1)


if __name__ == "__main__":
    threading.Thread(target=job, daemon=True).start()
    app.run(port=int(os.environ["PORT"]), threaded=True)
