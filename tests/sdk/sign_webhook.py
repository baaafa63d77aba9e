"""Signs a webhook with its provider's own library: sign_webhook.py PROVIDER SECRET AT URL, the body on stdin.

AT is in seconds since 1970. Prints one line of JSON, {"headers": {name: value}, "body": text}. A body that is a form is
signed by twilio as one; of any other it signs the hash, with which its URL must end already.
"""

import json
import sys
from datetime import datetime, timezone
from urllib.parse import parse_qs

ID = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"


def stripe(secret, at, url, body):
    from stripe import WebhookSignature

    return {"stripe-signature": WebhookSignature.generate_signature_header(body, secret, at)}


def slack(secret, at, url, body):
    from slack_sdk.signature import SignatureVerifier

    signature = SignatureVerifier(secret).generate_signature(timestamp=str(at), body=body)
    return {"x-slack-request-timestamp": str(at), "x-slack-signature": signature}


def standard(secret, at, url, body):
    from standardwebhooks import Webhook

    signature = Webhook(secret).sign(ID, datetime.fromtimestamp(at, timezone.utc), body)
    return {"webhook-id": ID, "webhook-timestamp": str(at), "webhook-signature": signature}


def svix(secret, at, url, body):
    from svix.webhooks import Webhook

    signature = Webhook(secret).sign(ID, datetime.fromtimestamp(at, timezone.utc), body)
    return {"svix-id": ID, "svix-timestamp": str(at), "svix-signature": signature}


def twilio(secret, at, url, body):
    from twilio.request_validator import RequestValidator
    from multidict import MultiDict

    pairs = [] if "bodySHA256" in url else parse_qs(body, keep_blank_values=True, strict_parsing=bool(body))
    params = MultiDict((name, value) for name in pairs for value in pairs[name])
    content_type = "application/json" if "bodySHA256" in url else "application/x-www-form-urlencoded"
    signature = RequestValidator(secret).compute_signature(url, params)
    return {"content-type": content_type, "x-twilio-signature": signature}


SIGNERS = {"stripe": stripe, "slack": slack, "standard": standard, "svix": svix, "twilio": twilio}

if __name__ == "__main__":
    provider, secret, at, url = sys.argv[1:]
    body = sys.stdin.buffer.read().decode()
    headers = SIGNERS[provider](secret, int(at), url, body)
    print(json.dumps({"headers": {"content-type": "application/json", **headers}, "body": body}))
