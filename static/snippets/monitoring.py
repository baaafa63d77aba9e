"""Reports errors to tocsin. One file without dependencies, for Python 3.8 and newer.

    from monitoring import capture_error
    try: pay(order)
    except Exception as error: capture_error(error, context={"order": order.id}); raise
"""
import atexit, contextlib, json, threading, traceback, urllib.parse, urllib.request

DSN = "__TOCSIN_DSN__"
TIMEOUT_S, CHARS_MAX = 2, 8000  # of one report, of one text
IN_FLIGHT_MAX = 5  # more at once is a storm: the app must not pay for it
_in_flight = set()


def capture_error(error, severity="high", context=None, metadata=None, user_id=None, release=None, environment=None):
    """Sends an error once, in the background: never raises, never waits, gives up after 2 s."""
    with contextlib.suppress(Exception):  # the app matters more than its alarm
        if len(_in_flight) >= IN_FLIGHT_MAX:
            return
        trace = lambda error: "".join(traceback.format_exception(type(error), error, error.__traceback__))[-CHARS_MAX:]
        is_error = isinstance(error, BaseException)
        report = {
            "error_type": type(error).__name__ if is_error else "Error", "message": _text(error),
            "stack_trace": _text(error, trace) if is_error else None, "platform": "python", "release": release,
            "severity": severity, "context": context, "metadata": metadata, "user_id": user_id, "environment": environment,
        }
        thread = threading.Thread(target=_send, args=(json.dumps(_plain(report, [])).encode(),), daemon=True)
        _in_flight.add(thread)
        thread.start()


def _text(value, how=str):
    with contextlib.suppress(Exception):
        return how(value)[:CHARS_MAX]
    return f"[{type(value).__name__} that cannot be shown]"


def _plain(value, above):
    """What JSON can say of anything: odd keys, odd numbers and circles included, long texts cut."""
    with contextlib.suppress(Exception):
        if value is None or isinstance(value, bool) or isinstance(value, (int, float)) and abs(value) < 1e300:
            return value
        if len(above) < 20 and not any(value is one for one in above):
            if isinstance(value, dict):
                return {_text(key)[:200]: _plain(part, [*above, value]) for key, part in value.items()}
            if isinstance(value, (list, tuple)):
                return [_plain(part, [*above, value]) for part in value]
    return _text(value, str if isinstance(value, str) else repr)


def _send(body):
    with contextlib.suppress(Exception):
        dsn = urllib.parse.urlsplit(DSN)
        url = f"{dsn.scheme}://{dsn.netloc.rpartition('@')[2]}/api/v1/errors?sentry_key={dsn.username}"
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=TIMEOUT_S).close()
    _in_flight.discard(threading.current_thread())


captureError = capture_error
atexit.register(lambda: [thread.join(TIMEOUT_S) for thread in list(_in_flight)])
