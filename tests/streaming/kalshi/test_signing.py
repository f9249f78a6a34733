"""Signatures as Kalshi's documentation states them."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from streaming.kalshi.signing import KeyUnusable, is_signed_by, private_key, signed_headers

PATH = "/trade-api/v2/portfolio/balance"
Key = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def pems(key: Key, style: PrivateFormat = PrivateFormat.PKCS8) -> tuple[str, str]:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return key.private_bytes(Encoding.PEM, style, NoEncryption()).decode(), public.decode()


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS = [
    pytest.param(pems(RSA_KEY), id="rsa"),
    pytest.param(pems(RSA_KEY, PrivateFormat.TraditionalOpenSSL), id="rsa-pkcs1"),
    pytest.param(pems(ed25519.Ed25519PrivateKey.generate()), id="ed25519"),
]


def check(public: str, headers: dict[str, str], *, method: str = "GET", path: str = PATH) -> bool:
    timestamp, signature = headers["KALSHI-ACCESS-TIMESTAMP"], headers["KALSHI-ACCESS-SIGNATURE"]
    return is_signed_by(public, method=method, path=path, timestamp=timestamp, signature=signature)


@pytest.mark.parametrize("pair", KEYS)
def test_a_signature_fits_its_own_request_only(pair: tuple[str, str]) -> None:
    private, public = pair
    headers = signed_headers("key-1", private, "GET", PATH, 1_759_350_609_000)

    assert headers["KALSHI-ACCESS-KEY"] == "key-1"
    assert headers["KALSHI-ACCESS-TIMESTAMP"] == "1759350609000"
    assert check(public, headers)
    assert not check(public, headers, path="/trade-api/v2/markets")
    assert not check(public, headers, method="POST")
    assert not check(public, {**headers, "KALSHI-ACCESS-TIMESTAMP": "1759350609001"})


def test_the_query_is_not_signed() -> None:
    private, public = pems(RSA_KEY)

    headers = signed_headers("key-1", private, "get", f"{PATH}?limit=5", 1)

    assert check(public, headers)


def test_the_salt_is_as_long_as_the_digest() -> None:
    private, _ = pems(RSA_KEY)
    headers = signed_headers("key-1", private, "GET", PATH, 1)

    RSA_KEY.public_key().verify(
        base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]),
        f"1GET{PATH}".encode(),
        padding.PSS(padding.MGF1(hashes.SHA256()), 32),
        hashes.SHA256(),
    )


def test_a_longer_salt_is_accepted() -> None:
    longest = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    signature = base64.b64encode(RSA_KEY.sign(f"1GET{PATH}".encode(), longest, hashes.SHA256())).decode()

    assert check(pems(RSA_KEY)[1], {"KALSHI-ACCESS-TIMESTAMP": "1", "KALSHI-ACCESS-SIGNATURE": signature})


@pytest.mark.parametrize("signature", ["", "not base64!", "AAAA"])
def test_nonsense_is_no_signature(signature: str) -> None:
    assert not check(pems(RSA_KEY)[1], {"KALSHI-ACCESS-TIMESTAMP": "1", "KALSHI-ACCESS-SIGNATURE": signature})


def test_a_text_that_is_no_key_is_refused_in_words() -> None:
    with pytest.raises(KeyUnusable, match="private key in PEM"):
        private_key("hello")
