"""Where objects are kept: one small interface, and its implementation as a directory.

An object never changes: it is put once, whole, and durable when `put_if_absent` returns.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EACCES, ENOTDIR, EPERM, EROFS
from pathlib import Path
from typing import Protocol

import msgspec

from archive.layout import owner_key
from registry.environment_file import Store as StoreSpec
from registry.refusal import ExitCode, Reason, Refused

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
    """What every store promises; each method raises StoreError when it cannot keep it."""

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


class DirectoryStore:
    """Objects as files under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(root, error) from error
        if not os.access(root, os.W_OK | os.X_OK):
            raise _unwritable(root, PermissionError(EACCES, "Permission denied"))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write beside, force to disk, then link: the object appears whole or not at all."""
        path = self._path(key)
        with _store_errors(key, missing=StoreError):
            _make_folders(path.parent, self.root)
            temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
            try:
                _write_durably(temporary, data)
                return _link(temporary, path, data)
            finally:
                temporary.unlink(missing_ok=True)
                _sync_folder(path.parent)

    def get(self, key: str) -> bytes:
        """The object's content."""
        with _store_errors(key):
            return self._path(key).read_bytes()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Part of the content."""
        with _store_errors(key), self._path(key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def head(self, key: str) -> ObjectInfo | None:
        """The object's size, if there is one."""
        try:
            with _store_errors(key):
                return ObjectInfo(key, self._path(key).stat().st_size)
        except ObjectMissing:
            return None

    def list(self, prefix: str) -> Iterator[str]:
        """All keys that begin with `prefix`, in order."""
        folder = prefix.rpartition("/")[0]
        start = self._path(folder) if folder else self.root
        with _store_errors(prefix):
            if not self.root.is_dir():  # not mounted, perhaps: nothing may conclude that the archive is empty
                raise StoreError(f"{self.root} is gone")
            keys = _keys_under(start, f"{folder}/" if folder else "")
            return iter(sorted(key for key in keys if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        """Remove the object."""
        path = self._path(key)
        with _store_errors(key):
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if len(key) > _MAX_KEY or not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not an object key")
        return self.root / key


def _keys_under(folder: Path, prefix: str) -> Iterator[str]:
    """Not `os.walk`: it passes over a folder that it may not read as if it were empty."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _keys_under(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}"


def _make_folders(folder: Path, root: Path) -> None:
    """Like mkdir -p, with every new folder's name forced to disk."""
    if folder.is_dir():
        return
    if folder == root:
        raise StoreError(f"{root} is gone")
    _make_folders(folder.parent, root)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _link(temporary: Path, path: Path, data: bytes) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        if path.read_bytes() != data:
            raise OtherContent(f"{path} already holds something else") from None
        return False
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _store_errors(key: str, *, missing: type[Exception] = ObjectMissing) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise missing(key) from error
    except OSError as error:
        raise StoreError(f"{key}: {error.strerror or error}") from error


def _unwritable(root: Path, error: OSError) -> Refused:
    denied = error.errno in (EACCES, EPERM, EROFS, ENOTDIR) or isinstance(error, FileExistsError)
    code = ExitCode.PERMISSION if denied else ExitCode.UNAVAILABLE
    reason = "a file is in its place" if isinstance(error, FileExistsError) else error.strerror
    remedy = "Give this user the right to write there, or set SSMD_HOME or the environment's storage path."
    return Refused(
        [Reason(f"The archive's folder {root} cannot be written: {reason}", remedy)], exit_code=code
    )


def open_store(spec: StoreSpec, home: Path) -> Store:
    """The store that an environment names; a relative path lies under `home`."""
    if spec.path:
        return DirectoryStore(home / spec.path)
    problem = f"Storage in bucket '{spec.bucket}' at {spec.endpoint} is not yet supported in this release"
    raise Refused([Reason(problem, "Use a folder: `path: archive/raw` (relative to SSMD_HOME).")])


def bind_owner(store: Store, feed: str, environment: str) -> None:
    """Bind a feed's prefix to one environment for ever; refused if it is another's."""
    key = owner_key(feed)
    try:
        store.put_if_absent(key, msgspec.json.encode({"environment": environment, "feed": feed}) + b"\n")
    except OtherContent:
        owner = msgspec.json.decode(store.get(key)).get("environment")
        problem = f"The archive of feed '{feed}' belongs to environment '{owner}', not to '{environment}'"
        remedy = "Give this environment a storage path of its own."
        raise Refused([Reason(problem, remedy)], exit_code=ExitCode.CONFLICT) from None
