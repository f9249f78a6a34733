"""The door: 401 bodies verbatim from recordings."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from streaming.kalshi.signing import signed_headers
from streaming.kalshi.simulator.auth import BAD_SIGNATURE, EXPIRED, MISSING, UNKNOWN_KEY, Body, Door

NOW_MS = 1_795_000_000_000
PATH = "/trade-api/ws/v2"
KEY = Ed25519PrivateKey.generate()
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def asked(headers: dict[str, str], *, door: Door | None = None, path: str = PATH) -> Body | None:
    return (door or Door({"key-1": PUBLIC})).refusal(headers, method="GET", path=path, now_ms=NOW_MS)


def headers(*, key_id: str = "key-1", skew_ms: int = 0) -> dict[str, str]:
    return signed_headers(key_id, PRIVATE, "GET", PATH, NOW_MS + skew_ms)


@pytest.mark.parametrize("skew_ms", [0, 15_000, -15_000])
def test_a_good_signature_is_let_in(skew_ms: int) -> None:
    assert asked(headers(skew_ms=skew_ms)) is None


@pytest.mark.parametrize("skew_ms", [15_001, -30_000, 300_000])
def test_a_clock_that_is_off_is_refused(skew_ms: int) -> None:
    assert asked(headers(skew_ms=skew_ms)) == EXPIRED


def test_an_unknown_key_a_bad_signature_and_a_missing_header_are_told_apart() -> None:
    assert asked(headers(key_id="key-2")) == UNKNOWN_KEY
    assert asked(headers(), path="/trade-api/v2/markets") == BAD_SIGNATURE
    assert asked({name: value for name, value in headers().items() if "SIGNATURE" not in name}) == MISSING


def test_without_keys_anybody_who_sends_the_headers_comes_in() -> None:
    assert asked(headers(key_id="whoever", skew_ms=10**9), door=Door({})) is None
    assert asked({}, door=Door({})) == MISSING


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("bad_signature", BAD_SIGNATURE),
        ("unknown_key_id", UNKNOWN_KEY),
        ("missing_signature_header", MISSING),
        ("skew_minus30s", EXPIRED),
    ],
)
def test_the_bodies_are_those_that_were_recorded(recordings: Path, name: str, body: Body) -> None:
    recorded = json.loads((recordings / "fortuna_demo" / f"auth__{name}.json").read_text())

    recorded.get("error", {}).pop("service", None)  # until 2026-08-06
    assert body == recorded
