"""References to secrets become values here, at the moment of use; nothing is kept, logged or shown."""

import hmac
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from django.conf import settings

from registry.refusal import ExitCode, Reason, Refused

_REFERENCE = re.compile(r"sealed-secret/(?P<name>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)\Z")
# What a venue's credentials are made of: the key's id, and the private key in PEM.
CREDENTIALS = ("api_key", "api_secret")


class Secret:
    """A text that does not show itself; ask `reveal()` where it is needed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written to a file, queue or cache")


def resolve(reference: str, keys: Sequence[str] = CREDENTIALS) -> dict[str, Secret]:
    """The values of `keys`, from the mounted folder or else from SSMD_SECRET_<NAME>_<KEY>."""
    name = _name(reference)
    found = {key: value for key in keys if (value := _from_file(name, key) or _from_variable(name, key))}
    missing = [_missing(reference, name, key) for key in keys if key not in found]
    if missing:
        raise Refused(missing)
    return found


def secret_usable(reference: str, keys: Sequence[str] = CREDENTIALS) -> list[Reason]:
    """Why the secret cannot be used; its value is not looked at further."""
    try:
        resolve(reference, keys)
    except Refused as refused:
        return list(refused.reasons)
    return []


def secret_exists(reference: str) -> list[Reason]:
    """Why nothing lies under the reference at all; for secrets whose keys are not known here."""
    try:
        name = _name(reference)
    except Refused as refused:
        return list(refused.reasons)
    prefix = variable(name, "")
    if folder(name).is_dir() or any(known.startswith(prefix) for known in os.environ):
        return []
    looked = f"Looked for the folder {folder(name)} and for variables {prefix}..."
    return [Reason(f"Secret '{reference}' does not exist", looked)]


def folder(name: str) -> Path:
    """Where the files of the secret `name` lie."""
    return Path(settings.SSMD_SECRETS_DIR) / name


def variable(name: str, key: str) -> str:
    """The variable that may hold one key; only this prefix is ever read."""
    return "SSMD_SECRET_" + re.sub(r"[^A-Z0-9]", "_", f"{name}_{key}".upper())


def _name(reference: str) -> str:
    match = _REFERENCE.match(reference)
    if match is None or ".." in reference:
        raise Refused(
            [Reason(f"{reference!r} is not a reference to a secret", "Like sealed-secret/kalshi-creds.")]
        )
    return match["name"]


def _from_file(name: str, key: str) -> Secret | None:
    path = folder(name) / key
    try:
        # A mounted volume links within itself; nothing may link out of it.
        inside = path.resolve(strict=True).is_relative_to(Path(settings.SSMD_SECRETS_DIR).resolve())
        readable_by_others = stat.S_IMODE(path.stat().st_mode) & 0o077
        text = path.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _denied(
            f"{path} cannot be read: {error.strerror}", "Give it to the user ssmd runs as."
        ) from error
    if not inside:
        raise _denied(f"{path} links out of {settings.SSMD_SECRETS_DIR}", "Put the file itself there.")
    if readable_by_others:
        raise _denied(f"{path} can be read by others than its owner", f"Run: chmod 600 {path}")
    return Secret(text) if text else None


def _denied(problem: str, remedy: str) -> Refused:
    return Refused([Reason(problem, remedy)], exit_code=ExitCode.PERMISSION)


def _from_variable(name: str, key: str) -> Secret | None:
    text = os.environ.get(variable(name, key), "")
    return Secret(text) if text else None


def _missing(reference: str, name: str, key: str) -> Reason:
    looked = f"Looked in {folder(name) / key} and in the variable {variable(name, key)}."
    return Reason(f"Secret '{reference}' has no {key}", looked)
