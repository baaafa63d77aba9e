"""A submission server as providers run it: TLS first, then sign-in, then mail. Keeps what it takes.

    smtp_catcher.py FOLDER PORT TLS

TLS is `starttls`, `tls` where the connection is encrypted from its first byte, or `none`.

Makes a certificate authority (FOLDER/ca.pem) and a certificate for localhost and 127.0.0.1 unless they are there,
listens on PORT (0: any free one), prints {"port": N} and appends each message as a JSON line to
FOLDER/messages.jsonl. FOLDER/mode says what happens to the next message: `accept`, `later` (451) or `never` (550);
`closed` refuses every greeting (554).
FOLDER/put_off, where it is there, lists addresses that no mail is taken for now (450).
Every sign-in, good or bad, is appended to FOLDER/sign_ins.jsonl.
"""

import datetime
import email
import email.policy
import ipaddress
import json
import pathlib
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USERNAME = "tocsin"
PASSWORD = "correct horse"
ANSWERS = {"later": "451 4.3.0 try again later", "never": "550 5.1.1 no such mailbox here"}


def make_certificates(folder):
    if (folder / "ca.pem").exists():
        return
    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(name, issuer, key, signer, extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=7))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256())

    ca_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    ca = certificate("catcher ca", "catcher ca", ca_key, ca_key, [(x509.BasicConstraints(True, None), True)])
    leaf = certificate(
        "localhost",
        "catcher ca",
        key,
        ca_key,
        [
            (x509.BasicConstraints(False, None), True),
            (x509.SubjectAlternativeName(names), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        ],
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))


def append(path, record):
    with path.open("a") as lines:
        lines.write(json.dumps(record) + "\n")


class Keeper:
    def __init__(self, folder, is_implicit):
        self.folder = folder
        self.is_implicit = is_implicit

    def is_encrypted(self, session):
        return self.is_implicit or bool(session.ssl)

    def sign_in(self, _server, session, _envelope, mechanism, data):
        good = isinstance(data, LoginPassword) and data == LoginPassword(USERNAME.encode(), PASSWORD.encode())
        append(self.folder / "sign_ins.jsonl", {"mechanism": mechanism, "good": good, "tls": self.is_encrypted(session)})
        # Not handled: the server itself is to say 235 or 535.
        return AuthResult(success=good, handled=False, auth_data=USERNAME if good else None)

    async def handle_EHLO(self, _server, session, _envelope, hostname, responses):
        if (self.folder / "mode").read_text().strip() == "closed":
            return ["554 5.3.2 closed for repairs"]
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, _server, _session, envelope, address, options):
        put_off = self.folder / "put_off"
        if put_off.exists() and address in put_off.read_text().split():
            append(self.folder / "refused.jsonl", {"mode": "put_off", "to": address})
            return "450 4.2.0 greylisted"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 fine"

    async def handle_DATA(self, _server, session, envelope):
        mode = (self.folder / "mode").read_text().strip()
        if mode in ANSWERS:
            append(self.folder / "refused.jsonl", {"mode": mode})
            return ANSWERS[mode]
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {
            part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()
        }
        append(
            self.folder / "messages.jsonl",
            {
                "at": time.time(),
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "user": session.auth_data,
                "tls": self.is_encrypted(session),
                "type": message.get_content_type(),
                "headers": {name.lower(): str(value) for name, value in message.items()},
                "parts": parts,
            },
        )
        return "250 2.0.0 kept"


def main():
    folder, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    make_certificates(folder)
    if not (folder / "mode").exists():
        (folder / "mode").write_text("accept")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    is_implicit = sys.argv[3] == "tls"
    keeper = Keeper(folder, is_implicit)
    # The library knows of encryption only where STARTTLS began it.
    tls = {
        "starttls": {"tls_context": context, "require_starttls": True},
        "tls": {"ssl_context": context},
        "none": {},
    }[sys.argv[3]]
    controller = Controller(
        keeper,
        hostname="127.0.0.1",
        port=port,
        **tls,
        authenticator=keeper.sign_in,
        auth_required=True,
        auth_require_tls=sys.argv[3] == "starttls",
    )
    # Port 0 is refused by the controller's own readiness check: bind first, then say which one it is.
    if port == 0:
        import socket

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            controller.port = probe.getsockname()[1]
    controller.start()
    print(json.dumps({"port": controller.port}), flush=True)
    # Ends with whoever started it: the test holds the other end of our standard input.
    sys.stdin.read()
    controller.stop()


main()
