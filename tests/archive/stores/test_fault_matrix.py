"""Every operation meets every fault, through a real HTTP proxy before a real store; the final state is asserted each time.

Stored exactly once or a clear error; nothing lost, no part of an object, no upload left over.
"""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product

import pytest
from mypy_boto3_s3 import S3Client

from archive.objects import ObjectMissing, OtherContent, Store, StoreError
from archive.retry import Patience
from archive.s3_store import S3Store
from tests.archive.stores.conftest import PART_BYTES
from tests.chaos import seaweed
from tests.chaos.faulty_s3 import Fault, FaultyS3
from tests.chaos.seaweed import Seaweed

SMALL, MIDDLE, LARGE = 200, 300_000, PART_BYTES + 70_000
PASSING = [
    (429, "SlowDown"),
    (500, "InternalError"),
    (502, ""),
    (503, "SlowDown"),
    (504, ""),
    (409, "OperationAborted"),
]
LASTING = [(400, "InvalidRequest"), (403, "AccessDenied"), (404, "NoSuchBucket"), (405, "MethodNotAllowed")]
# What a proxy on the way says, without the store's own word.
WORDLESS = [(404, ""), (409, "ConditionalRequestConflict"), (408, "RequestTimeout"), (500, "")]

CONTENTS = {size: os.urandom(size) for size in (0, SMALL, MIDDLE, LARGE)}


@pytest.fixture(scope="module")
def session_store(session_proxy: FaultyS3) -> Store:
    """One store for all cases: its probe is behind it, and it is known to have answered."""
    session_proxy.tell()
    store = S3Store(
        Seaweed(session_proxy.url).bucket(read_seconds=0.4),
        lambda: seaweed.KEY,
        patience=Patience(attempts=4, seconds=20, sleep=lambda _: None),
        part_bytes=PART_BYTES,
    )
    assert store.verifies_digest
    return store


@pytest.fixture
def store(session_store: Store, proxy: FaultyS3) -> Store:
    return session_store


@pytest.fixture(scope="session")
def behind(seaweed_server: Seaweed) -> Store:
    """The same bucket, past the proxy: what really is there."""
    return S3Store(seaweed_server.bucket(), lambda: seaweed.KEY)


@pytest.fixture(scope="session")
def operator(seaweed_server: Seaweed) -> S3Client:
    return seaweed.client(seaweed_server.url)


@pytest.fixture(autouse=True)
def nothing_is_left_over(
    request: pytest.FixtureRequest, behind: S3Store, operator: S3Client, place: str
) -> Iterator[None]:
    """After each case: no upload that is neither completed nor aborted."""
    yield
    uploads = operator.list_multipart_uploads(Bucket=seaweed.BUCKET)
    left = {one["Key"] for one in uploads.get("Uploads", [])} & {f"{place}/a"}
    if "status_after-create_upload" in request.node.name:
        assert left  # S3 never told us its id: this is what the clearing away is for
        behind.abort_stale_uploads(timedelta(0))
    else:
        assert not left


def names(cases: list[tuple[object, ...]]) -> list[str]:
    return ["-".join(map(str, case)).replace(" ", "") for case in cases]


# --- a fault that passes: the operation succeeds, once ---------------------------------------------------------
PASSING_PUTS: list[tuple[str, int, str, int]] = [
    *(
        ("put", status, code, size)
        for (status, code), size in product(PASSING + WORDLESS, (0, SMALL, MIDDLE))
    ),
    *(
        (operation, status, code, LARGE)
        for operation, (status, code) in product(("create_upload", "put_part", "complete"), PASSING)
    ),
    ("complete", 409, "ConditionalRequestConflict", LARGE),
    ("put_part", 404, "NoSuchUpload", LARGE),
    ("complete", 404, "NoSuchUpload", LARGE),
]


@pytest.mark.parametrize(("operation", "status", "code", "size"), PASSING_PUTS, ids=names([*PASSING_PUTS]))
@pytest.mark.parametrize("kind", ["status", "status_after"])
def test_a_put_outlives_what_passes(
    store: Store,
    behind: Store,
    proxy: FaultyS3,
    place: str,
    kind: str,
    operation: str,
    status: int,
    code: str,
    size: int,
) -> None:
    proxy.tell(Fault(operation, kind, status=status, code=code, times=2))

    store.put_if_absent(f"{place}/a", CONTENTS[size])

    assert proxy.told.hit
    assert behind.get(f"{place}/a") == CONTENTS[size]
    assert list(behind.list(f"{place}/")) == [f"{place}/a"]


BREAKS = ["reset", "reset_after", "silent", "silent_after", "empty", "spoiled_on_the_way"]


@pytest.mark.parametrize(
    ("operation", "size"), [("put", SMALL), ("put", MIDDLE), ("put_part", LARGE), ("complete", LARGE)]
)
@pytest.mark.parametrize("kind", BREAKS)
def test_a_put_outlives_a_connection_that_breaks(
    store: Store, behind: Store, proxy: FaultyS3, place: str, kind: str, operation: str, size: int
) -> None:
    proxy.tell(Fault(operation, kind, times=1 if "silent" in kind else 2))

    store.put_if_absent(f"{place}/a", CONTENTS[size])

    assert proxy.told.hit
    assert behind.get(f"{place}/a") == CONTENTS[size]


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
    store: Store, behind: Store, proxy: FaultyS3, place: str, read: str, status: int, code: str
) -> None:
    key = f"{place}/a"
    behind.put_if_absent(key, CONTENTS[MIDDLE])
    proxy.tell(Fault("*", status=status, code=code, times=2))

    found = READS[read](store, key)

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
    store: Store, behind: Store, proxy: FaultyS3, place: str, read: str, kind: str
) -> None:
    key = f"{place}/a"
    behind.put_if_absent(key, CONTENTS[MIDDLE])
    proxy.tell(Fault("*", kind))

    found = READS[read](store, key)

    assert proxy.told.hit == 1
    assert found == READS[read](behind, key)


# --- a fault that lasts: a clear error, nothing half done ------------------------------------------------------
LASTING_PUTS: list[tuple[str, int, str, int]] = [
    (operation, status, code, LARGE if operation != "put" else SMALL)
    for operation, (status, code) in product(
        ("put", "create_upload", "put_part", "complete"), [*LASTING, (503, "SlowDown")]
    )
]


@pytest.mark.parametrize(("operation", "status", "code", "size"), LASTING_PUTS, ids=names([*LASTING_PUTS]))
def test_a_put_that_is_refused_for_good_says_so_and_leaves_nothing(
    store: Store,
    behind: Store,
    proxy: FaultyS3,
    place: str,
    operation: str,
    status: int,
    code: str,
    size: int,
) -> None:
    proxy.tell(Fault(operation, status=status, code=code, times=99))

    with pytest.raises(StoreError, match=code):
        store.put_if_absent(f"{place}/a", CONTENTS[size])

    assert behind.head(f"{place}/a") is None
    tries = proxy.told.hit
    proxy.tell()
    assert store.put_if_absent(f"{place}/a", CONTENTS[size])
    assert (tries == 1) == (status != 503)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("status", "code"), [*LASTING, (500, "InternalError"), (404, "")])
def test_a_read_that_is_refused_is_never_taken_for_an_absence(
    store: Store, behind: Store, proxy: FaultyS3, place: str, read: str, status: int, code: str
) -> None:
    behind.put_if_absent(f"{place}/a", CONTENTS[SMALL])
    proxy.tell(Fault("*", status=status, code=code, times=99))

    with pytest.raises(StoreError):
        READS[read](store, f"{place}/a")


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
    store: Store,
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
        ACTS[operation](store, f"{place}/a")

    assert proxy.told.hit == 1
    assert behind.head(f"{place}/a") is None


DELETES = [(status, code) for status, code in PASSING + WORDLESS]


@pytest.mark.parametrize(("status", "code"), DELETES, ids=names([*DELETES]))
@pytest.mark.parametrize("kind", ["status", "status_after"])
def test_a_delete_outlives_what_passes(
    store: Store, behind: Store, proxy: FaultyS3, place: str, kind: str, status: int, code: str
) -> None:
    behind.put_if_absent(f"{place}/a", b"x")
    proxy.tell(Fault("delete", kind, status=status, code=code, times=2))

    store.delete(f"{place}/a")

    assert behind.head(f"{place}/a") is None


# --- what was there before stays as it was --------------------------------------------------------------------
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("kind", ["status", "reset", "reset_after", "status_after"])
def test_another_writer_s_object_is_never_touched(
    store: Store, behind: Store, proxy: FaultyS3, place: str, kind: str, size: int
) -> None:
    behind.put_if_absent(f"{place}/a", b"first")
    proxy.tell(Fault("*", kind, times=2))

    with pytest.raises(OtherContent):
        store.put_if_absent(f"{place}/a", CONTENTS[size])

    assert behind.get(f"{place}/a") == b"first"


def test_a_missing_object_is_missing_also_after_trouble(store: Store, proxy: FaultyS3, place: str) -> None:
    proxy.tell(Fault("*", status=503, code="SlowDown", times=2))

    with pytest.raises(ObjectMissing):
        store.get(f"{place}/a")


def test_the_wait_that_the_store_asks_for_is_kept(proxy: FaultyS3, place: str) -> None:
    waits: list[float] = []
    patience = Patience(attempts=4, seconds=20, sleep=waits.append)
    store = S3Store(Seaweed(proxy.url).bucket(), lambda: seaweed.KEY, patience=patience)
    store.head(f"{place}/a")
    proxy.tell(Fault("put", status=503, code="SlowDown", headers=(("Retry-After", "7"),)))

    store.put_if_absent(f"{place}/a", b"x")

    assert waits == [7.0]


def test_a_wait_beyond_the_budget_is_not_begun(proxy: FaultyS3, place: str) -> None:
    waits: list[float] = []
    patience = Patience(attempts=4, seconds=20, sleep=waits.append)
    store = S3Store(Seaweed(proxy.url).bucket(), lambda: seaweed.KEY, patience=patience)
    proxy.tell(Fault("*", status=503, code="SlowDown", headers=(("Retry-After", "3600"),)))

    with pytest.raises(StoreError, match="503"):
        store.head(f"{place}/a")

    assert waits == []


def test_a_slow_store_is_waited_for(store: Store, proxy: FaultyS3, place: str) -> None:
    proxy.tell(bytes_per_second=2_000_000)

    store.put_if_absent(f"{place}/a", CONTENTS[MIDDLE])

    assert store.get(f"{place}/a") == CONTENTS[MIDDLE]
