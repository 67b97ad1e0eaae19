"""Detached signatures over statements: checked with a public key."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from provenance.errors import MissingExtra
from provenance.evidence.errors import SignatureRefused


def require_signature(statement: bytes, signature: bytes, public_key: bytes) -> str:
    """Return the algorithm of a signature that fits the statement and the key.

    Ed25519, ECDSA and RSA (PKCS #1 v1.5 or PSS) over SHA-256; the key in PEM or DER, the signature as bytes or base64.

    Raises
    ------
    SignatureRefused
        If the key cannot be read, or the signature does not fit.
    MissingExtra
        If the package `cryptography` is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise MissingExtra("cryptography", "attest") from error
    load = serialization.load_pem_public_key if b"-----BEGIN" in public_key else serialization.load_der_public_key
    try:
        key: Any = load(public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureRefused("The public key cannot be read: expected one in PEM or DER.") from error
    attempts = _attempts(key)
    for given in dict.fromkeys((signature, _from_base64(signature))):
        for name, verify in attempts:
            try:
                verify(given, statement)
            except (InvalidSignature, ValueError):
                continue
            return name
    raise SignatureRefused("The signature does not fit the statement and the public key: it is forged, or of another "
                           "file.")  # fmt: skip


def _attempts(key: Any) -> list[tuple[str, Any]]:
    """Return name and check (signature, statement) of every way in which a key can sign."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    digest = hashes.SHA256()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return [("Ed25519", key.verify)]
    if isinstance(key, ec.EllipticCurvePublicKey):
        return [("ECDSA-SHA256", lambda given, data: key.verify(given, data, ec.ECDSA(digest)))]
    if isinstance(key, rsa.RSAPublicKey):
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.AUTO)
        return [
            ("RSA-SHA256", lambda given, data: key.verify(given, data, padding.PKCS1v15(), digest)),
            ("RSA-PSS-SHA256", lambda given, data: key.verify(given, data, pss, digest)),
        ]
    raise SignatureRefused("Keys of this kind are not known: expected Ed25519, ECDSA or RSA.")


def _from_base64(signature: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(signature.split()), validate=True)
    except (ValueError, binascii.Error):
        return signature
