"""customer-api in Python, with PyJWT: the same service as customer-api.ts, by discovery alone.

ISSUER, AUDIENCE, ENVIRONMENT: whose tokens, made for whom, from which environment.
ISSUER_CA_FILE: the authorities of the issuer's TLS certificate, where that is no public one.
TLS_CERT_FILE, TLS_KEY_FILE: our own TLS certificate. PORT: any free one by default.

Needs: pip install -r requirements.txt
"""

import json
import os
import re
import signal
import ssl
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

CUSTOMERS = {
    "1001": {"name": "Ada Lindqvist", "domain": "wealth-customers", "advisor": "M. Okafor"},
    "1002": {"name": "Noor Haddad", "domain": "wealth-customers", "advisor": "M. Okafor"},
    "2001": {"name": "Jan Kowalski", "domain": "retail-customers", "advisor": "branch 17"},
}


def say(text):
    print(text, flush=True)


class Issuer:
    """The keys of an issuer, found by OpenID Connect Discovery (§4)."""

    def __init__(self, url, ca_file):
        context = ssl.create_default_context(cafile=ca_file)
        with urllib.request.urlopen(f"{url}/.well-known/openid-configuration", context=context, timeout=10) as answer:
            document = json.load(answer)
        if document["issuer"] != url:  # §4.3
            raise ValueError("the discovery document is of another issuer")
        self.url = url
        self.algorithms = document["id_token_signing_alg_values_supported"]
        self._keys = jwt.PyJWKClient(document["jwks_uri"], ssl_context=context, timeout=10)

    def verify(self, token, audience):
        """The claims of a token that the issuer signed, for this audience, now."""
        key = self._keys.get_signing_key_from_jwt(token)
        # A key says what it signs with; what the token says must agree, and never chooses.
        if key.algorithm_name not in self.algorithms:
            raise jwt.InvalidTokenError("a key for another algorithm")
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=audience,
            issuer=self.url,
            options={"require": ["exp", "iss", "aud", "sub", "environment", "customer_data_domain"]},
        )


def find(path, claims):
    """/customers and /customers/ID. What may be seen is the data domain's, whoever asks."""
    domain = claims["customer_data_domain"]
    if path == "/customers":
        return 200, [customer for customer in CUSTOMERS.values() if customer["domain"] == domain]
    match = re.fullmatch(r"/customers/([0-9]+)", path)
    customer = CUSTOMERS.get(match[1]) if match else None
    if customer is None:
        return 404, {"error": "no such customer"}
    if customer["domain"] != domain:
        return 403, {"error": "this customer is of another business line"}
    return 200, customer


def handler_for(issuer, audience, environment):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            try:
                claims = self.authenticate()
            except (jwt.InvalidTokenError, jwt.PyJWKClientError) as error:
                say(f"401  {self.path}  {error}")
                self.respond(401, {"error": "invalid token"}, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
                return
            status, body = find(self.path, claims)
            say(f"{status}  {self.path}  for {claims['sub']} ({claims['customer_data_domain']})")
            self.respond(status, body)

        def authenticate(self):
            match = re.fullmatch(r"Bearer (\S+)", self.headers.get("Authorization", ""))
            claims = issuer.verify(match[1] if match else "", audience)
            if not claims["sub"].startswith("spiffe://"):
                raise jwt.InvalidTokenError("sub is no SPIFFE ID")
            if claims["environment"] != environment:
                raise jwt.InvalidTokenError("the token is of another environment")
            return claims

        def respond(self, status, body, headers=None):
            content = json.dumps(body, separators=(",", ":")).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler


class Server(ThreadingHTTPServer):
    """TLS per connection, within its own thread: a slow handshake holds up nobody else."""

    daemon_threads = True

    def __init__(self, address, handler, context):
        super().__init__(address, handler)
        self._context = context

    def finish_request(self, request, client_address):
        request.settimeout(30)
        try:
            with self._context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)
        except (ssl.SSLError, OSError) as error:
            say(f"a connection ended: {error}")


def main():
    issuer = Issuer(os.environ["ISSUER"], os.environ.get("ISSUER_CA_FILE"))
    say(f"discovered the keys of {issuer.url} ({', '.join(issuer.algorithms)})")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["TLS_CERT_FILE"], os.environ["TLS_KEY_FILE"])
    handler = handler_for(issuer, os.environ["AUDIENCE"], os.environ["ENVIRONMENT"])
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "0"))), handler, context)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    say(f"listening on https://localhost:{server.server_port}")
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
