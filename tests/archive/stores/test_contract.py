"""What every store promises, asked of each of them."""

import os
import threading

import pytest

from archive.objects import ObjectMissing, OtherContent, Store
from tests.archive.stores.conftest import PART_BYTES


def test_an_object_is_put_once_and_read_back(store: Store, place: str) -> None:
    key = f"{place}/b/c.json"

    assert store.put_if_absent(key, b"content")

    assert store.get(key) == b"content"
    info = store.head(key)
    assert info is not None
    assert (info.key, info.size) == (key, 7)


@pytest.mark.parametrize(
    ("start", "length", "part"),
    [(0, 7, b"content"), (3, 2, b"te"), (5, 99, b"nt"), (7, 1, b""), (99, 1, b""), (0, 0, b"")],
)
def test_a_part_is_read_and_is_shorter_where_the_object_ends(
    store: Store, place: str, start: int, length: int, part: bytes
) -> None:
    store.put_if_absent(f"{place}/a", b"content")

    assert store.get_range(f"{place}/a", start, length) == part


@pytest.mark.parametrize("size", [0, 1, 4096, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 12345])
def test_objects_of_every_size_come_back_as_they_were(store: Store, place: str, size: int) -> None:
    data = os.urandom(size)

    assert store.put_if_absent(f"{place}/a", data)

    assert store.get(f"{place}/a") == data
    info = store.head(f"{place}/a")
    assert info is not None
    assert info.size == size


@pytest.mark.parametrize("size", [7, PART_BYTES + 1])
def test_the_same_object_again_is_fine_and_another_is_refused(store: Store, place: str, size: int) -> None:
    data = os.urandom(size)
    store.put_if_absent(f"{place}/b", data)

    assert not store.put_if_absent(f"{place}/b", data)
    for other in (b"else", data[:-1] + b"?"):
        with pytest.raises(OtherContent):
            store.put_if_absent(f"{place}/b", other)
    assert store.get(f"{place}/b") == data


def test_what_is_not_there_is_said_to_be_missing(store: Store, place: str) -> None:
    assert store.head(f"{place}/b") is None
    assert list(store.list(f"{place}/")) == []
    with pytest.raises(ObjectMissing):
        store.get(f"{place}/b")
    for length in (0, 1):
        with pytest.raises(ObjectMissing):
            store.get_range(f"{place}/b", 0, length)
    store.delete(f"{place}/b")


def test_what_was_deleted_is_gone_and_may_be_put_again(store: Store, place: str) -> None:
    store.put_if_absent(f"{place}/b", b"one")

    store.delete(f"{place}/b")

    assert store.head(f"{place}/b") is None
    assert list(store.list(f"{place}/")) == []
    assert store.put_if_absent(f"{place}/b", b"two")


def test_keys_are_listed_in_order_by_prefix(store: Store, place: str) -> None:
    keys = [f"{place}/{name}" for name in ("a-b/x", "a/10", "a/2/y", "a/20", "b/1")]
    for key in reversed(keys):
        store.put_if_absent(key, b"x")

    assert list(store.list(f"{place}/")) == keys
    assert list(store.list(f"{place}/a/")) == keys[1:4]
    assert list(store.list(f"{place}/a/2")) == keys[2:4]
    assert list(store.list(f"{place}/a")) == keys[:4]
    assert keys == [key for key in store.list("") if key.startswith(f"{place}/")]


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
        "a/./b",
        "a\\b",
        "a\0b",
        "a b",
        "a%2e%2e",
        "a?b",
        "ä",
        "a" * 256,
        "a/" * 600,
    ],
)
def test_a_key_cannot_leave_its_root(store: Store, key: str) -> None:
    for ask in (store.get, store.head, store.delete, lambda key: store.put_if_absent(key, b"")):
        with pytest.raises(ValueError, match="is not an object key"):
            ask(key)
    with pytest.raises(ValueError, match="is not an object key"):
        store.list(f"{key}/../")


def test_keys_with_escapes_and_dots_are_taken_as_they_are(store: Store, place: str) -> None:
    key = f"{place}/T-72999.99/=2E=2E/{'x' * 200}/data.capnp.zst"
    store.put_if_absent(key, b"content")

    assert store.get(key) == b"content"
    assert list(store.list(f"{place}/T-72999.99/")) == [key]


def test_of_many_writers_of_one_key_one_is_first(store: Store, place: str) -> None:
    answers: list[object] = []

    def put(content: bytes) -> None:
        try:
            answers.append(store.put_if_absent(f"{place}/b", content))
        except OtherContent:
            answers.append("other")

    threads = [threading.Thread(target=put, args=(b"%d" % number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, answers)) == ["True", *["other"] * 15]
    assert list(store.list(f"{place}/")) == [f"{place}/b"]
