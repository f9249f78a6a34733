"""Objects as files under one folder: the store that needs no server."""

import ctypes
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from errno import EACCES, EEXIST, EINVAL, ENOSYS, ENOTDIR, EOPNOTSUPP, EPERM, EROFS
from pathlib import Path

from archive.counted import counted
from archive.objects import ObjectInfo, ObjectMissing, OtherContent, StoreError, checked_key, folder_of
from registry.refusal import ExitCode, Reason, Refused
from streaming import metrics
from streaming.durable import make_folder

KIND = "directory"
_NO_LINKS = (EPERM, EOPNOTSUPP, ENOSYS)  # what FAT, SMB and some FUSE file systems say to link(2)
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1  # linux/fcntl.h, linux/fs.h


class DirectoryStore:
    """Objects as files under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        metrics.init_store(KIND)
        try:
            make_folder(root)
        except OSError as error:
            raise _unwritable(root, error) from error
        if not os.access(root, os.W_OK | os.X_OK):
            raise _unwritable(root, PermissionError(EACCES, "Permission denied"))

    def place(self, key: str) -> str:
        """Where an object, or all below a prefix, lies."""
        return f"{self.root.absolute().as_uri()}/{key}"

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write beside, force to disk, then link: the object appears whole or not at all."""
        path = self._path(key)
        with counted(KIND, "put"), _store_errors(key, missing=StoreError):
            _make_folders(path.parent, self.root)
            temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
            try:
                _write_durably(temporary, data)
                return _appear(temporary, path, data)
            finally:
                temporary.unlink(missing_ok=True)
                _sync_folder(path.parent)

    def get(self, key: str) -> bytes:
        """The object's content."""
        path = self._path(key)
        with counted(KIND, "get"), self._reading(key):
            return path.read_bytes()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Part of the content."""
        path = self._path(key)
        with counted(KIND, "get"), self._reading(key), path.open("rb") as file:
            file.seek(start)
            return file.read(max(0, length))

    def head(self, key: str) -> ObjectInfo | None:
        """The object's size, if there is one."""
        path = self._path(key)
        try:
            with counted(KIND, "head"), self._reading(key):
                if path.is_dir():
                    raise ObjectMissing(key)
                return ObjectInfo(key, path.stat().st_size)
        except ObjectMissing:
            return None

    def list(self, prefix: str) -> Iterator[str]:
        """All keys that begin with `prefix`, in order."""
        folder = folder_of(prefix)
        with counted(KIND, "list"), _store_errors(prefix):
            self._require_root()
            keys = _keys_under(self.root / folder, f"{folder}/" if folder else "")
            return iter(sorted(key for key in keys if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        """Remove the object; after a power cut it may be back, which harms nobody."""
        path = self._path(key)
        with counted(KIND, "delete"), _store_errors(key):
            self._require_root()
            path.unlink(missing_ok=True)

    def remove_leftovers(self, older_than: timedelta) -> int:
        """Delete what writers that were killed left beside objects; returns how many files that were."""
        removed, before = 0, time.time() - older_than.total_seconds()
        with counted(KIND, "clean"), _store_errors(str(self.root)):
            self._require_root()
            for path in self.root.rglob(".*.tmp"):
                if path.stat().st_mtime <= before:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            with _store_errors(key):
                yield
        except ObjectMissing:
            self._require_root()
            raise

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    def _require_root(self) -> None:
        if not self.root.is_dir():  # not mounted, perhaps: nothing may conclude that the archive is empty
            raise StoreError(f"{self.root} is gone")


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


def _appear(temporary: Path, path: Path, data: bytes) -> bool:
    """Give the file its name, unless something has it."""
    try:
        _link(temporary, path)
    except FileExistsError:
        if path.read_bytes() != data:
            raise OtherContent(f"{path} already holds something else") from None
        return False
    return True


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_if_absent(temporary, path)


def _rename_if_absent(source: Path, target: Path) -> None:
    """For a file system without hard links: renameat2(2) with RENAME_NOREPLACE does the same in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, bytes(source), _AT_FDCWD, bytes(target), _RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code in (EINVAL, ENOSYS, EOPNOTSUPP):
        raise StoreError(
            f"{target.parent}: this file system has neither hard links nor a rename that replaces nothing;"
            " put the archive on another one, such as ext4, xfs or btrfs"
        )
    raise FileExistsError(code, os.strerror(code)) if code == EEXIST else OSError(code, os.strerror(code))


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
