"""Runs a job under Sentry's cron monitoring: crons.py DSN."""

import json
import sys

import sentry_sdk
from sentry_sdk.crons import monitor

sentry_sdk.init(dsn=sys.argv[1])
config = {
    "schedule": {"type": "interval", "value": 10, "unit": "minute"},
    "checkin_margin": 2,
    "max_runtime": 5,
}


@monitor(monitor_slug="sdk-good", monitor_config=config)
def good():
    return 7


@monitor(monitor_slug="sdk-bad", monitor_config=config)
def bad():
    raise ValueError("no rows")


good()
try:
    bad()
except ValueError:
    pass
sentry_sdk.flush(timeout=10)
print(json.dumps({"sent": True}))
