"""What is particular to a folder: what a kill leaves, full disks, file systems that know no links."""

import errno
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from archive import directory_store
from archive.directory_store import DirectoryStore
from archive.objects import ObjectMissing, OtherContent, StoreError
from archive.store import remove_leftovers
from tests.traced import traced


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "raw")


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def files(store: DirectoryStore) -> list[str]:
    return sorted(path.name for path in store.root.rglob("*") if path.is_file())


def test_an_object_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_is_told_of(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = traced(monkeypatch)

    store.put_if_absent("a/b/c.json", b"x")

    folders = ["mkdir a", "fsync raw", "mkdir b", "fsync a"]
    assert calls == [*folders, "fsync tmp", "link c.json", "fsync b"]


def test_a_new_archives_folder_has_its_name_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = traced(monkeypatch)

    DirectoryStore(tmp_path / "archive" / "raw")

    assert calls == ["mkdir archive", f"fsync {tmp_path.name}", "mkdir raw", "fsync archive"]


def test_what_a_kill_left_is_removed_when_it_is_old_and_objects_stay(store: DirectoryStore) -> None:
    store.put_if_absent("a/b.json", b"x")
    for name, age in (("old", 7200), ("new", 0)):
        path = store.root / "a" / f".{name}.tmp"
        path.touch()
        os.utime(path, (path.stat().st_mtime - age,) * 2)

    assert remove_leftovers(store, timedelta(hours=1)) == 1
    assert files(store) == [".new.tmp", "b.json"]
    assert remove_leftovers(store, timedelta(0)) == 1
    assert files(store) == ["b.json"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("step", ["fsync", "link", "mkdir"])
def test_a_disk_in_trouble_is_said_and_leaves_no_object_and_no_leftover(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing(code))
        with pytest.raises(StoreError, match=os.strerror(code)):
            store.put_if_absent("a/b", b"x")

    assert files(store) == []
    assert store.put_if_absent("a/b", b"x")


def test_without_hard_links_an_object_still_appears_at_once_and_only_once(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))

    assert store.put_if_absent("a/b", b"x")
    assert not store.put_if_absent("a/b", b"x")
    with pytest.raises(OtherContent):
        store.put_if_absent("a/b", b"y")

    assert store.get("a/b") == b"x"
    assert files(store) == ["b"]


def test_a_file_system_that_can_neither_is_named_as_the_trouble(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EOPNOTSUPP))
    monkeypatch.setattr(directory_store, "_RENAME_NOREPLACE", 1 << 30)  # a flag that no kernel knows

    with pytest.raises(StoreError, match="neither hard links"):
        store.put_if_absent("a/b", b"x")

    assert files(store) == []


def test_a_folder_is_no_object_and_is_not_deleted(store: DirectoryStore) -> None:
    store.put_if_absent("a/b", b"x")

    assert store.head("a") is None
    for ask in (store.get, store.delete):
        with pytest.raises(StoreError):
            ask("a")
    with pytest.raises(StoreError):
        store.put_if_absent("a/b/c", b"x")
    assert store.get("a/b") == b"x"


def test_a_root_that_vanished_is_no_reason_to_say_that_objects_are_deleted(store: DirectoryStore) -> None:
    store.root.rmdir()

    with pytest.raises(StoreError, match="is gone"):
        store.delete("a/b")
    with pytest.raises(StoreError, match="is gone"):
        store.remove_leftovers(timedelta(0))


def test_a_root_that_vanished_does_not_make_an_object_missing(store: DirectoryStore) -> None:
    store.root.rmdir()

    for ask in (store.get, store.head, lambda key: store.get_range(key, 0, 1)):
        try:
            found = ask("a/b")
        except StoreError:
            continue
        except ObjectMissing:
            found = None
        pytest.fail(f"{found!r} is said of an archive that is not there")
