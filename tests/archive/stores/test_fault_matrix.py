"""Every put meets every fault, through a real HTTP proxy before a real store; the final state is asserted each time.

Stored exactly once or a clear error; nothing lost, no part of an object, no upload left over.
"""

from itertools import product

import pytest

from archive.objects import OtherContent, Store, StoreError
from tests.archive.stores.matrix import (
    CONTENTS,
    LARGE,
    LASTING,
    MIDDLE,
    PASSING,
    PASSING_IN_PARTS,
    SMALL,
    WORDLESS,
    names,
)
from tests.chaos.faulty_s3 import Fault, FaultyS3

pytestmark = pytest.mark.usefixtures("nothing_is_left_over")

PASSING_PUTS: list[tuple[str, int, str, int]] = [
    *(
        ("put", status, code, size)
        for (status, code), size in product(PASSING + WORDLESS, (0, SMALL, MIDDLE))
    ),
    *(
        (operation, status, code, LARGE)
        for operation, (status, code) in product(("create_upload", "put_part", "complete"), PASSING_IN_PARTS)
    ),
    ("complete", 409, "ConditionalRequestConflict", LARGE),
    ("put_part", 404, "NoSuchUpload", LARGE),
    ("complete", 404, "NoSuchUpload", LARGE),
]


@pytest.mark.parametrize(("operation", "status", "code", "size"), PASSING_PUTS, ids=names([*PASSING_PUTS]))
@pytest.mark.parametrize("kind", ["status", "status_after"])
def test_a_put_outlives_what_passes(
    faulty_store: Store,
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

    faulty_store.put_if_absent(f"{place}/a", CONTENTS[size])

    assert proxy.told.hit
    assert behind.get(f"{place}/a") == CONTENTS[size]
    assert list(behind.list(f"{place}/")) == [f"{place}/a"]


BREAKS = ["reset", "reset_after", "silent", "silent_after", "empty", "spoiled_on_the_way"]


@pytest.mark.parametrize(
    ("operation", "size"), [("put", SMALL), ("put", MIDDLE), ("put_part", LARGE), ("complete", LARGE)]
)
@pytest.mark.parametrize("kind", BREAKS)
def test_a_put_outlives_a_connection_that_breaks(
    faulty_store: Store, behind: Store, proxy: FaultyS3, place: str, kind: str, operation: str, size: int
) -> None:
    proxy.tell(Fault(operation, kind, times=1 if "silent" in kind else 2))

    faulty_store.put_if_absent(f"{place}/a", CONTENTS[size])

    assert proxy.told.hit
    assert behind.get(f"{place}/a") == CONTENTS[size]


LASTING_PUTS: list[tuple[str, int, str, int]] = [
    (operation, status, code, LARGE if operation != "put" else SMALL)
    for operation, (status, code) in product(
        ("put", "create_upload", "put_part", "complete"), [*LASTING, (503, "SlowDown")]
    )
]


@pytest.mark.parametrize(("operation", "status", "code", "size"), LASTING_PUTS, ids=names([*LASTING_PUTS]))
def test_a_put_that_is_refused_for_good_says_so_and_leaves_nothing(
    faulty_store: Store,
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
        faulty_store.put_if_absent(f"{place}/a", CONTENTS[size])

    assert behind.head(f"{place}/a") is None
    tries = proxy.told.hit
    proxy.tell()
    assert faulty_store.put_if_absent(f"{place}/a", CONTENTS[size])
    assert (tries == 1) == (status != 503)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("kind", ["status", "reset", "reset_after", "status_after"])
def test_another_writer_s_object_is_never_touched(
    faulty_store: Store, behind: Store, proxy: FaultyS3, place: str, kind: str, size: int
) -> None:
    behind.put_if_absent(f"{place}/a", b"first")
    proxy.tell(Fault("*", kind, times=2))

    with pytest.raises(OtherContent):
        faulty_store.put_if_absent(f"{place}/a", CONTENTS[size])

    assert behind.get(f"{place}/a") == b"first"
