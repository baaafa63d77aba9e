"""Verifies a webhook as an application does, with its provider's own library: verify_webhook.py PROVIDER SECRET URL.

Reads {"headers": {name: value}, "body": text} from stdin, names in lower case. Ends with 0 where the library accepts it,
at the time that the clock shows, and with 1 and the library's words where it does not.
"""

import json
import sys
from urllib.parse import parse_qs


def stripe(secret, url, headers, body):
    from stripe import Webhook

    Webhook.construct_event(body, headers["stripe-signature"], secret)


def slack(secret, url, headers, body):
    from slack_sdk.signature import SignatureVerifier

    if not SignatureVerifier(secret).is_valid_request(body, headers):
        raise ValueError("slack_sdk says no")


def standard(secret, url, headers, body):
    from standardwebhooks import Webhook

    Webhook(secret).verify(body, headers, json_parse=False)


def svix(secret, url, headers, body):
    from svix.webhooks import Webhook

    Webhook(secret).verify(body, headers)


def twilio(secret, url, headers, body):
    from multidict import MultiDict
    from twilio.request_validator import RequestValidator

    params = body
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        pairs = parse_qs(body, keep_blank_values=True)
        params = MultiDict((name, value) for name in pairs for value in pairs[name])
    if not RequestValidator(secret).validate(url, params, headers["x-twilio-signature"]):
        raise ValueError("twilio says no")


VERIFIERS = {"stripe": stripe, "slack": slack, "standard": standard, "svix": svix, "twilio": twilio}

if __name__ == "__main__":
    provider, secret, url = sys.argv[1:]
    call, verify = json.load(sys.stdin), VERIFIERS[provider]
    try:
        verify(secret, url, call["headers"], call["body"])
    except Exception as refusal:  # whatever a library raises is its verdict
        print(f"{type(refusal).__name__}: {refusal}")
        sys.exit(1)
