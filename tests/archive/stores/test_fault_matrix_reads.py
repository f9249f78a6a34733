"""Every read and delete meets every fault: right content or a clear error, and never an absence that is none."""

from collections.abc import Callable
from itertools import product

import pytest

from archive.objects import ObjectMissing, Store, StoreError
from tests.archive.stores.matrix import CONTENTS, LASTING, MIDDLE, PASSING, SMALL, WORDLESS, names
from tests.chaos.faulty_s3 import Fault, FaultyS3

READS: dict[str, Callable[[Store, str], object]] = {
    "get": lambda store, key: store.get(key),
    "range": lambda store, key: store.get_range(key, 10, 100),
    "head": lambda store, key: getattr(store.head(key), "size", None),
    "list": lambda store, key: list(store.list(key)),
}
PASSING_READS: list[tuple[str, int, str]] = [
    (read, status, code)
    for read, (status, code) in product(READS, PASSING + WORDLESS)
    if (read, status) != ("head", 404)
]


@pytest.mark.parametrize(("read", "status", "code"), PASSING_READS, ids=names([*PASSING_READS]))
def test_a_read_outlives_what_passes(
    faulty_store: Store, behind: Store, proxy: FaultyS3, place: str, read: str, status: int, code: str
) -> None:
    key = f"{place}/a"
    behind.put_if_absent(key, CONTENTS[MIDDLE])
    proxy.tell(Fault("*", status=status, code=code, times=2))

    found = READS[read](faulty_store, key)

    assert proxy.told.hit == 2
    assert found == READS[read](behind, key)


READ_BREAKS: list[tuple[str, str]] = [
    *product(READS, ["reset", "silent", "empty"]),
    *product(("get", "range", "list"), ["truncated"]),
    *product(("get", "range"), ["shortened"]),
    ("get", "spoiled"),
]


@pytest.mark.parametrize(("read", "kind"), READ_BREAKS, ids=names([*READ_BREAKS]))
def test_a_read_that_breaks_off_is_read_again(
    faulty_store: Store, behind: Store, proxy: FaultyS3, place: str, read: str, kind: str
) -> None:
    key = f"{place}/a"
    behind.put_if_absent(key, CONTENTS[MIDDLE])
    proxy.tell(Fault("*", kind))

    found = READS[read](faulty_store, key)

    assert proxy.told.hit == 1
    assert found == READS[read](behind, key)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("status", "code"), [*LASTING, (500, "InternalError"), (404, "")])
def test_a_read_that_is_refused_is_never_taken_for_an_absence(
    faulty_store: Store, behind: Store, proxy: FaultyS3, place: str, read: str, status: int, code: str
) -> None:
    behind.put_if_absent(f"{place}/a", CONTENTS[SMALL])
    proxy.tell(Fault("*", status=status, code=code, times=99))

    with pytest.raises(StoreError):
        READS[read](faulty_store, f"{place}/a")


ACTS: dict[str, Callable[[Store, str], object]] = {
    **READS,
    "put": lambda store, key: store.put_if_absent(key, b"x"),
    "delete": lambda store, key: store.delete(key),
}


@pytest.mark.parametrize("operation", ACTS)
@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [("html", 0, "web page"), ("redirect", 302, "elsewhere.invalid"), ("redirect", 307, "elsewhere")],
)
def test_what_is_no_store_s_answer_is_refused(
    faulty_store: Store,
    behind: Store,
    proxy: FaultyS3,
    place: str,
    kind: str,
    status: int,
    said: str,
    operation: str,
) -> None:
    proxy.tell(Fault("*", kind, status=status, times=99))

    with pytest.raises(StoreError, match=said):
        ACTS[operation](faulty_store, f"{place}/a")

    assert proxy.told.hit == 1
    assert behind.head(f"{place}/a") is None


DELETES = [(status, code) for status, code in PASSING + WORDLESS]


@pytest.mark.parametrize(("status", "code"), DELETES, ids=names([*DELETES]))
@pytest.mark.parametrize("kind", ["status", "status_after"])
def test_a_delete_outlives_what_passes(
    faulty_store: Store, behind: Store, proxy: FaultyS3, place: str, kind: str, status: int, code: str
) -> None:
    behind.put_if_absent(f"{place}/a", b"x")
    proxy.tell(Fault("delete", kind, status=status, code=code, times=2))

    faulty_store.delete(f"{place}/a")

    assert behind.head(f"{place}/a") is None


def test_a_missing_object_is_missing_also_after_trouble(
    faulty_store: Store, proxy: FaultyS3, place: str
) -> None:
    proxy.tell(Fault("*", status=503, code="SlowDown", times=2))

    with pytest.raises(ObjectMissing):
        faulty_store.get(f"{place}/a")
