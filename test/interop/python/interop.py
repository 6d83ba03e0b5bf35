"""Reads, with PyJWT and cryptography, what a gateway issues, and makes what a gateway is to read.

Exit status 0: done, with the answer as JSON on standard output. 1: the library refused what it was given. 2: anything else.
"""

import base64
import hashlib
import hmac
import json
import ssl
import sys
import traceback
import urllib.request
from datetime import datetime, timezone

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID


class Refused(Exception):
    """The "no" of the library under test, which tests must be able to tell from a broken test."""


def read(path):
    with open(path, "rb") as file:
        return file.read()


def read_jwt(issuer, ca_file, audience):
    """A token from standard input, validated as any OpenID Connect relying party does: by discovery."""
    context = ssl.create_default_context(cafile=ca_file)
    with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", context=context, timeout=20) as answer:
        discovery = json.load(answer)
    assert discovery["issuer"] == issuer
    token = sys.stdin.read().strip()
    try:
        key = jwt.PyJWKClient(discovery["jwks_uri"], ssl_context=context).get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key,
            algorithms=discovery["id_token_signing_alg_values_supported"],
            audience=audience,
            issuer=issuer,
            options={"require": ["exp", "iat", "nbf", "sub", "jti"]},
        )
    except jwt.PyJWTError as error:
        raise Refused(type(error).__name__) from error
    return {"header": jwt.get_unverified_header(token), "claims": claims}


def verify_chain(cert_file, bundle_file, role, dns_name=""):
    """An X.509-SVID with the path validation of cryptography, whose rules are those of the web's authorities."""
    leaf, *intermediates = x509.load_pem_x509_certificates(read(cert_file))
    store = verification.Store(x509.load_pem_x509_certificates(read(bundle_file)))
    builder = verification.PolicyBuilder().store(store).time(datetime.now(timezone.utc))
    try:
        if role == "client":
            verified = builder.build_client_verifier().verify(leaf, intermediates)
            return {"names": [name.value for name in verified.subjects], "length": len(verified.chain)}
        chain = builder.build_server_verifier(x509.DNSName(dns_name)).verify(leaf, intermediates)
        return {"length": len(chain)}
    except verification.VerificationError as error:
        raise Refused(str(error)) from error


def extension(certificate, kind):
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def check_profile(cert_file, bundle_file):
    """What the X.509-SVID specification says of the shape of leaves and authorities: the clauses that are not kept."""
    leaf, *intermediates = x509.load_pem_x509_certificates(read(cert_file))
    roots = x509.load_pem_x509_certificates(read(bundle_file))
    broken = [f"leaf: {clause}" for clause in leaf_clauses(leaf)]
    for authority in [*intermediates, *roots]:
        broken += [f"authority: {clause}" for clause in authority_clauses(authority)]
    for certificate, issuer in zip([leaf, *intermediates], [*intermediates, *roots[:1]]):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, InvalidSignature):
            broken.append("a certificate is not issued by the next one")
    return {"broken": broken, "authorities": len(intermediates) + len(roots)}


def common_clauses(certificate):
    names = extension(certificate, x509.SubjectAlternativeName)
    usage = extension(certificate, x509.KeyUsage)
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    if certificate.version != x509.Version.v3:
        yield "RFC 5280 4.1.2.1: version 3"
    if not 0 < certificate.serial_number < 2**159:
        yield "RFC 5280 4.1.2.2: a positive serial number of at most 20 octets"
    if len(uris) != 1 or not uris[0].startswith("spiffe://"):
        yield "2: exactly one URI, and it is a SPIFFE ID"
    if names and not list(certificate.subject) and not names.critical:
        yield "3.1: critical names where there is no subject"
    if usage is None or not usage.critical:
        yield "4.3: key usage is there and critical"


def leaf_clauses(leaf):
    yield from common_clauses(leaf)
    names = extension(leaf, x509.SubjectAlternativeName)
    constraints = extension(leaf, x509.BasicConstraints)
    usage = extension(leaf, x509.KeyUsage)
    purposes = extension(leaf, x509.ExtendedKeyUsage)
    if names and not any(
        uri.startswith("spiffe://") and len(uri.split("/", 3)) == 4 and uri.split("/", 3)[3]
        for uri in names.value.get_values_for_type(x509.UniformResourceIdentifier)
    ):
        yield "3.1: a path"
    if constraints and constraints.value.ca:
        yield "4.1: cA is false"
    if usage and not usage.value.digital_signature:
        yield "4.3: digitalSignature"
    if usage and (usage.value.key_cert_sign or usage.value.crl_sign):
        yield "4.3: neither keyCertSign nor cRLSign"
    both = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    if purposes is None or not both <= set(purposes.value):
        yield "4.4: serverAuth and clientAuth"


def authority_clauses(authority):
    yield from common_clauses(authority)
    names = extension(authority, x509.SubjectAlternativeName)
    constraints = extension(authority, x509.BasicConstraints)
    usage = extension(authority, x509.KeyUsage)
    if names and names.value.get_values_for_type(x509.UniformResourceIdentifier) != ["spiffe://example.org"]:
        yield "3.2: the ID of the trust domain, without a path"
    if constraints is None or not constraints.critical or not constraints.value.ca:
        yield "4.1: cA is true"
    if usage and not usage.value.key_cert_sign:
        yield "4.3: keyCertSign"
    if usage and any(
        (usage.value.digital_signature, usage.value.content_commitment, usage.value.key_encipherment,
         usage.value.data_encipherment, usage.value.key_agreement)
    ):
        yield "4.3: nothing but keyCertSign and cRLSign"


def make_request(kind):
    curves = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1, "secp256k1": ec.SECP256K1}
    if kind in curves:
        key = ec.generate_private_key(curves[kind]())
    elif kind == "Ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = rsa.generate_private_key(65537, int(kind.removeprefix("RSA-")))
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "wünsch.example.org")])
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("other.example.org")]), critical=False)
    request = builder.sign(key, None if kind == "Ed25519" else hashes.SHA256())
    der = request.public_bytes(serialization.Encoding.DER)
    return {
        "pem": request.public_bytes(serialization.Encoding.PEM).decode(),
        "der": base64.b64encode(der).decode(),
        "key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        "public_key": spki(key.public_key()),
    }


def read_key(cert_file):
    [leaf, *_] = x509.load_pem_x509_certificates(read(cert_file))
    names = extension(leaf, x509.SubjectAlternativeName).value
    return {
        "public_key": spki(leaf.public_key()),
        "uris": names.get_values_for_type(x509.UniformResourceIdentifier),
        "dns_names": names.get_values_for_type(x509.DNSName),
    }


def spki(key):
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def forge():
    """The token from standard input with `HS256`, keyed with each form of the public key in the JWK that comes after it."""
    token, jwk = sys.stdin.read().split("\n", 1)
    key = jwt.PyJWK(json.loads(jwk)).key
    forms = {
        "pem": key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "der": key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        "jwk": jwk.encode(),
    }
    header = {**jwt.get_unverified_header(token), "alg": "HS256"}
    signed = f"{base64url(json.dumps(header).encode())}.{token.split('.')[1]}"
    return {
        name: f"{signed}.{base64url(hmac.new(form, signed.encode(), hashlib.sha256).digest())}"
        for name, form in forms.items()
    }


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


COMMANDS = {
    "jwt": read_jwt,
    "chain": verify_chain,
    "profile": check_profile,
    "csr": make_request,
    "key": read_key,
    "forge": forge,
}

if __name__ == "__main__":
    try:
        print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(1)
    except Exception:  # whatever else it is, it is not what the test asked about
        traceback.print_exc()
        sys.exit(2)
