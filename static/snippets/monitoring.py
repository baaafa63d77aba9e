"""Reports errors to tocsin. One file without dependencies, for Python 3.8 and newer.

    from monitoring import capture_error
    try:
        pay(order)
    except Exception as error:
        capture_error(error, context={"order": order.id})
        raise
"""
import atexit, contextlib, json, threading, traceback, urllib.parse, urllib.request

DSN = "__TOCSIN_DSN__"
TIMEOUT_S = 2
IN_FLIGHT_MAX = 5  # more at once is a storm: the app must not pay for it
CHARS_MAX = 8000  # of one text
_in_flight = set()


def capture_error(error, severity="high", context=None, metadata=None, user_id=None, release=None, environment=None):
    """Sends an error once, in the background: never raises, never waits, gives up after 2 s."""
    with contextlib.suppress(Exception):  # the app matters more than its alarm
        if len(_in_flight) >= IN_FLIGHT_MAX:
            return
        is_error = isinstance(error, BaseException)
        report = {
            "error_type": type(error).__name__ if is_error else "Error", "message": str(error),
            "stack_trace": "".join(traceback.format_exception(type(error), error, error.__traceback__))[-CHARS_MAX:] if is_error else None,
            "severity": severity, "context": context, "metadata": metadata, "user_id": user_id,
            "release": release, "environment": environment, "platform": "python",
        }
        thread = threading.Thread(target=_send, args=(json.dumps(_plain(report)).encode(),), daemon=True)
        _in_flight.add(thread)
        thread.start()


def _plain(value, above=()):
    """What JSON can say of anything: odd keys, odd numbers and circles included, long texts cut."""
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and value - value == 0):
        return value
    is_new, path = len(above) < 20 and id(value) not in above, (*above, id(value))
    if is_new and isinstance(value, dict):
        return {str(key)[:200]: _plain(part, path) for key, part in value.items()}
    if is_new and isinstance(value, (list, tuple)):
        return [_plain(part, path) for part in value]
    return (value if isinstance(value, str) else repr(value))[:CHARS_MAX]


def _send(body):
    try:
        dsn = urllib.parse.urlsplit(DSN)
        url = f"{dsn.scheme}://{dsn.netloc.rpartition('@')[2]}/api/v1/errors?sentry_key={dsn.username}"
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=TIMEOUT_S).close()
    except Exception:
        pass
    finally:
        _in_flight.discard(threading.current_thread())


captureError = capture_error
atexit.register(lambda: [thread.join(TIMEOUT_S) for thread in list(_in_flight)])
