"""Reports errors to tocsin. One file without dependencies, for Python 3.8 and newer.

    from monitoring import capture_error
    try:
        pay(order)
    except Exception as error:
        capture_error(error, context={"order": order.id})
        raise
"""
import atexit
import json
import threading
import traceback
import urllib.request
from urllib.parse import urlsplit

DSN = "__TOCSIN_DSN__"
TIMEOUT_S = 2
IN_FLIGHT_MAX = 5  # more at once is a storm: the app must not pay for it

_in_flight = set()


def capture_error(error, severity="high", context=None, metadata=None, user_id=None, release=None, environment=None):
    """Sends an error once, in the background: never raises, never waits, gives up after 2 s."""
    try:
        if len(_in_flight) >= IN_FLIGHT_MAX:
            return
        is_error = isinstance(error, BaseException)
        report = {
            "error_type": type(error).__name__ if is_error else "Error",
            "message": str(error),
            "stack_trace": "".join(traceback.format_exception(type(error), error, error.__traceback__)) if is_error else None,
            "severity": severity, "context": context, "metadata": metadata, "user_id": user_id,
            "release": release, "environment": environment, "platform": "python",
        }
        body = json.dumps(report, default=repr).encode()
        thread = threading.Thread(target=_send, args=(body,), daemon=True)
        _in_flight.add(thread)
        thread.start()
    except Exception:  # the app matters more than its alarm
        pass


def _send(body):
    try:
        dsn = urlsplit(DSN)
        url = f"{dsn.scheme}://{dsn.netloc.rpartition('@')[2]}/api/v1/errors?sentry_key={dsn.username}"
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=TIMEOUT_S).close()
    except Exception:
        pass
    finally:
        _in_flight.discard(threading.current_thread())


captureError = capture_error
atexit.register(lambda: [thread.join(TIMEOUT_S) for thread in list(_in_flight)])
