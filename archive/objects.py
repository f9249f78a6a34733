"""What a store of objects promises, and the few ways in which it may fail."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

# No empty, hidden or dotted folder name can be spelled with these: a key cannot leave its root.
_KEY = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9_=.-]{0,254}(/[A-Za-z0-9_=-][A-Za-z0-9_=.-]{0,254})*")
_MAX_KEY = 1024


class StoreError(Exception):
    """The store could not do it now; trying again may help."""


class ObjectMissing(Exception):
    """There is no object at that key."""


class OtherContent(Exception):
    """Another object already lies at that key: two writers disagree about what is true."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object without its content."""

    key: str
    size: int


class Store(Protocol):
    """What every store promises; each method raises StoreError when it cannot keep it.

    An object never changes: it is put once, whole, and durable when `put_if_absent` returns.
    """

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store an object; False if the same one was there already; raises OtherContent if a different one was."""

    def get(self, key: str) -> bytes:
        """The object's content; raises ObjectMissing."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Part of the content, shorter where the object ends; raises ObjectMissing."""

    def head(self, key: str) -> ObjectInfo | None:
        """The object's size; None if there is none."""

    def list(self, prefix: str) -> Iterator[str]:
        """All keys that begin with `prefix`, in order."""

    def delete(self, key: str) -> None:
        """Remove the object; fine if there is none."""


def checked_key(key: str) -> str:
    """The key itself; ValueError unless it is one that every store can hold."""
    if len(key) > _MAX_KEY or not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not an object key")
    return key


def folder_of(prefix: str) -> str:
    """The folder in which everything that begins with `prefix` lies; ValueError unless it is one."""
    folder = prefix.rpartition("/")[0]
    return checked_key(folder) if folder or prefix.startswith("/") else ""
