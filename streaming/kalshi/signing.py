"""Kalshi's request signatures: made by the connector, checked by the simulated exchange; pure.

What is signed is timestamp, method and path (without the query) joined: kalshi.md 2.1.
"""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

KEY_HEADER = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER = "KALSHI-ACCESS-SIGNATURE"

_SALT_BYTES = 32


class KeyUnusable(ValueError):
    """Tell the operator: this PEM text is not a key that Kalshi knows."""


def signed_headers(
    key_id: str, private_key_pem: str | bytes, method: str, path: str, timestamp_ms: int
) -> dict[str, str]:
    """The three headers of one request; `path` may carry a query, which is not signed."""
    key = private_key(private_key_pem)
    text = _signed_text(str(timestamp_ms), method, path)
    if isinstance(key, Ed25519PrivateKey):
        signature = key.sign(text)
    else:
        signature = key.sign(text, PSS(MGF1(hashes.SHA256()), _SALT_BYTES), hashes.SHA256())
    return {
        KEY_HEADER: key_id,
        TIMESTAMP_HEADER: str(timestamp_ms),
        SIGNATURE_HEADER: base64.b64encode(signature).decode(),
    }


def is_signed_by(
    public_key_pem: str | bytes, *, method: str, path: str, timestamp: str, signature: str
) -> bool:
    """Whether the signature is right; any salt length passes, since some clients use the longest."""
    key = public_key(public_key_pem)
    text = _signed_text(timestamp, method, path)
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, Ed25519PublicKey):
            key.verify(raw, text)
        else:
            key.verify(raw, text, PSS(MGF1(hashes.SHA256()), PSS.AUTO), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def private_key(pem: str | bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    """The key in the text, or `KeyUnusable` with what would be right."""
    return _private_key(_as_bytes(pem))


def public_key(pem: str | bytes) -> RSAPublicKey | Ed25519PublicKey:
    """The key in the text, or `KeyUnusable` with what would be right."""
    return _public_key(_as_bytes(pem))


@lru_cache(maxsize=8)
def _private_key(pem: bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable("not an unencrypted private key in PEM (PKCS#8 or PKCS#1)") from error
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise KeyUnusable("a private key must be RSA or Ed25519")
    return key


@lru_cache(maxsize=8)
def _public_key(pem: bytes) -> RSAPublicKey | Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable("not a public key in PEM") from error
    if not isinstance(key, RSAPublicKey | Ed25519PublicKey):
        raise KeyUnusable("a public key must be RSA or Ed25519")
    return key


def _as_bytes(pem: str | bytes) -> bytes:
    return pem.encode() if isinstance(pem, str) else pem


def _signed_text(timestamp: str, method: str, path: str) -> bytes:
    return f"{timestamp}{method.upper()}{path.partition('?')[0]}".encode()
