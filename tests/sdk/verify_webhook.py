"""Verifies a webhook as an application does, with its provider's own library: verify_webhook.py PROVIDER SECRET URL.

Reads {"headers": {name: value}, "body": text} from stdin, names in lower case. Ends with 0 where the library accepts it,
at the time that the clock shows, and with 1 and the library's words where it refuses it. Whatever else goes wrong ends
with 2: a library that is missing has refused nothing.
"""

import json
import sys
import traceback
from urllib.parse import parse_qs


class Refused(Exception):
    """A library answered no."""


def stripe():
    from stripe import SignatureVerificationError, Webhook

    def verify(secret, url, headers, body):
        Webhook.construct_event(body, headers.get("stripe-signature", ""), secret)

    return verify, SignatureVerificationError


def slack():
    from slack_sdk.signature import SignatureVerifier

    def verify(secret, url, headers, body):
        if not SignatureVerifier(secret).is_valid_request(body, headers):
            raise Refused("slack_sdk says no")

    return verify, Refused


def standard():
    from standardwebhooks import Webhook
    from standardwebhooks.webhooks import WebhookVerificationError

    def verify(secret, url, headers, body):
        Webhook(secret).verify(body, headers, json_parse=False)

    return verify, WebhookVerificationError


def svix():
    from svix.webhooks import Webhook, WebhookVerificationError

    def verify(secret, url, headers, body):
        Webhook(secret).verify(body, headers)

    return verify, WebhookVerificationError


def twilio():
    from multidict import MultiDict
    from twilio.request_validator import RequestValidator

    def verify(secret, url, headers, body):
        params = body
        if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            pairs = parse_qs(body, keep_blank_values=True)
            params = MultiDict((name, value) for name in pairs for value in pairs[name])
        if not RequestValidator(secret).validate(url, params, headers.get("x-twilio-signature", "")):
            raise Refused("twilio says no")

    return verify, Refused


VERIFIERS = {"stripe": stripe, "slack": slack, "standard": standard, "svix": svix, "twilio": twilio}


def main():
    provider, secret, url = sys.argv[1:]
    call = json.load(sys.stdin)
    verify, refusal = VERIFIERS[provider]()
    try:
        verify(secret, url, call["headers"], call["body"])
    except refusal as refused:
        print(f"{type(refused).__name__}: {refused}")
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception:
        traceback.print_exc()
        sys.exit(2)
