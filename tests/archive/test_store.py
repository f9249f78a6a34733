import subprocess
import sys
import threading
from pathlib import Path

import pytest

from archive.store import DirectoryStore, ObjectMissing, OtherContent, StoreError, open_store
from registry.environment_file import Store as StoreSpec
from registry.refusal import ExitCode, Refused


def test_an_object_is_put_once_and_read_back(store: DirectoryStore) -> None:
    assert store.put_if_absent("a/b/c.json", b"content")

    assert store.get("a/b/c.json") == b"content"
    assert store.get_range("a/b/c.json", 3, 2) == b"te"
    assert store.get_range("a/b/c.json", 5, 99) == b"nt"
    info = store.head("a/b/c.json")
    assert info is not None
    assert info.size == 7


def test_the_same_object_again_is_fine_and_another_is_refused(store: DirectoryStore) -> None:
    store.put_if_absent("a/b", b"content")

    assert not store.put_if_absent("a/b", b"content")
    with pytest.raises(OtherContent):
        store.put_if_absent("a/b", b"else")
    assert store.get("a/b") == b"content"


def test_what_is_not_there_is_said_to_be_missing(store: DirectoryStore) -> None:
    assert store.head("a/b") is None
    assert list(store.list("a/")) == []
    with pytest.raises(ObjectMissing):
        store.get("a/b")
    with pytest.raises(ObjectMissing):
        store.get_range("a/b", 0, 1)
    store.delete("a/b")


def test_keys_are_listed_in_order_by_prefix_and_without_leftovers(store: DirectoryStore) -> None:
    keys = ["a-b/x", "a/10", "a/2/y", "a/20", "b/1"]
    for key in reversed(keys):
        store.put_if_absent(key, b"")
    (store.root / "a" / ".1234.tmp").touch()  # left by kill -9

    assert list(store.list("")) == keys
    assert list(store.list("a/")) == ["a/10", "a/2/y", "a/20"]
    assert list(store.list("a/2")) == ["a/2/y", "a/20"]
    store.delete("a/20")
    assert list(store.list("a/2")) == ["a/2/y"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/..",
        "a//b",
        "a/",
        ".hidden",
        "a/.b",
        "a\\b",
        "a\0b",
        "a b",
        "ä",
        "a/" * 600,
    ],
)
def test_a_key_cannot_leave_its_root(store: DirectoryStore, key: str) -> None:
    with pytest.raises(ValueError, match="is not an object key"):
        store.put_if_absent(key, b"")


def test_of_many_writers_of_one_key_one_is_first(store: DirectoryStore) -> None:
    answers: list[object] = []

    def put(content: bytes) -> None:
        try:
            answers.append(store.put_if_absent("a/b", content))
        except OtherContent:
            answers.append("other")

    threads = [threading.Thread(target=put, args=(b"%d" % number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, answers)) == ["True", *["other"] * 15]
    assert [path.name for path in (store.root / "a").iterdir()] == ["b"]


def test_an_archive_that_vanished_is_trouble_and_not_an_empty_one(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "raw")
    (tmp_path / "raw").rmdir()

    with pytest.raises(StoreError):
        list(store.list(""))
    with pytest.raises(StoreError):
        store.put_if_absent("a/b", b"")
    assert not (tmp_path / "raw").exists()


def test_a_folder_that_cannot_be_read_is_trouble_too(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "raw")
    (tmp_path / "raw" / "a").write_bytes(b"a file where a folder should be")

    with pytest.raises(StoreError):
        store.put_if_absent("a/b", b"")
    with pytest.raises(StoreError):
        list(store.list("a/"))


def test_a_folder_that_cannot_be_made_is_refused_with_exit_code_9(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for root in (tmp_path / "file", tmp_path / "file" / "raw"):
        with pytest.raises(Refused, match="cannot be written") as caught:
            DirectoryStore(root)
        assert caught.value.exit_code == ExitCode.PERMISSION


def test_a_path_lies_under_the_data_folder_and_a_bucket_needs_a_secret(tmp_path: Path) -> None:
    store = open_store(StoreSpec(path="archive/raw"), tmp_path)

    assert store.put_if_absent("a", b"x")
    assert (tmp_path / "archive" / "raw" / "a").exists()
    with pytest.raises(Refused, match="s3: sealed-secret"):
        open_store(StoreSpec(bucket="ssmd-raw", endpoint="s3.local:8333"), tmp_path)


def test_who_has_a_folder_does_not_wait_for_boto3() -> None:
    code = "import sys, archive.store, archive.shipper; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
