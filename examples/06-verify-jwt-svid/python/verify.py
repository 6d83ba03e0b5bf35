"""Reads tokens, one a line, and says of each whose it is, or why it is refused. With PyJWT and cryptography.

ISSUER, AUDIENCE, TRUST_DOMAIN: whose tokens, made for whom, about workloads of which trust domain
SSL_CERT_FILE: PEM that vouches for the issuer's certificate, where no public authority does
"""

import json
import os
import sys
import urllib.request

import jwt

ISSUER, AUDIENCE, TRUST_DOMAIN = (os.environ[name] for name in ("ISSUER", "AUDIENCE", "TRUST_DOMAIN"))
ALGORITHMS = ["ES256", "RS256"]

# Once, when the service starts: discovery says where the keys are.
with urllib.request.urlopen(f"{ISSUER}/.well-known/openid-configuration", timeout=10) as answer:
    discovery = json.load(answer)
if discovery["issuer"] != ISSUER:
    sys.exit("the discovery document is of another issuer")

# Kept for 5 minutes. A new `kid` has them read again, once in 30 seconds.
keys = jwt.PyJWKClient(discovery["jwks_uri"], lifespan=300, timeout=10)


def verify(token):
    key = keys.get_signing_key_from_jwt(token)
    # A key says what it signs with; what the token says must agree, and never chooses.
    if key.algorithm_name not in ALGORITHMS:
        raise jwt.InvalidAlgorithmError("a key for another algorithm")
    claims = jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"require": ["sub", "exp", "iss", "aud"]},
    )
    if not claims["sub"].startswith(f"spiffe://{TRUST_DOMAIN}/"):
        raise jwt.InvalidTokenError("no workload of this trust domain")
    return claims


for line in sys.stdin:
    try:
        print("accepted", json.dumps(verify(line.strip())), flush=True)
    except jwt.PyJWTError as error:
        print("refused", error, flush=True)
