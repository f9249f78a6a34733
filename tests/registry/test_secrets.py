"""Secrets are resolved from references only, checked, and never shown."""

import pickle
from pathlib import Path

import pytest

from registry.refusal import ExitCode, Refused
from registry.secrets import Secret, resolve, secret_exists, secret_usable


def put(home: Path, key: str, text: str, *, mode: int = 0o600) -> Path:
    place = home / "secrets" / "kalshi-creds"
    place.mkdir(parents=True, exist_ok=True)
    (place / key).write_text(text)
    (place / key).chmod(mode)
    return place / key


def test_a_mounted_secret_is_read(home: Path) -> None:
    put(home, "api_key", "id\n")
    put(home, "api_secret", "pem")

    found = resolve("sealed-secret/kalshi-creds")

    assert {key: secret.reveal() for key, secret in found.items()} == {"api_key": "id", "api_secret": "pem"}


def test_variables_stand_in_for_missing_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home, "api_key", "id")
    monkeypatch.setenv("SSMD_SECRET_KALSHI_CREDS_API_SECRET", "pem")

    assert resolve("sealed-secret/kalshi-creds")["api_secret"].reveal() == "pem"


def test_what_is_missing_is_said_with_where_it_was_looked_for(home: Path) -> None:
    put(home, "api_key", "id")

    [reason] = secret_usable("sealed-secret/kalshi-creds")

    assert str(home / "secrets/kalshi-creds/api_secret") in reason.remedy
    assert "SSMD_SECRET_KALSHI_CREDS_API_SECRET" in reason.remedy


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_refused(home: Path, mode: int) -> None:
    put(home, "api_key", "id", mode=mode)

    with pytest.raises(Refused, match="chmod 600") as refusal:
        resolve("sealed-secret/kalshi-creds")

    assert refusal.value.exit_code == ExitCode.PERMISSION


def test_a_link_out_of_the_folder_is_refused(home: Path) -> None:
    outside = home / "outside"
    outside.write_text("id")
    outside.chmod(0o600)
    put(home, "api_secret", "pem").with_name("api_key").symlink_to(outside)

    with pytest.raises(Refused, match="links out"):
        resolve("sealed-secret/kalshi-creds")


REFERENCES = [
    "",
    "kalshi",
    "sealed-secret/",
    "sealed-secret/../x",
    "sealed-secret/a/b",
    "env:DJANGO_SECRET_KEY",
]


@pytest.mark.parametrize(
    "reference", [*REFERENCES, "file:/etc/passwd", "sealed-secret/A", "sealed-secret/a\n"]
)
def test_only_names_are_references(home: Path, reference: str) -> None:
    with pytest.raises(Refused, match="not a reference"):
        resolve(reference)


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hunter2")

    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_folder_is_enough_to_exist(home: Path) -> None:
    assert secret_exists("sealed-secret/s3-creds")
    (home / "secrets" / "s3-creds").mkdir(parents=True)

    assert not secret_exists("sealed-secret/s3-creds")
