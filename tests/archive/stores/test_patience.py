"""How a store is waited for."""

import pytest

from archive.objects import Store, StoreError
from archive.retry import Patience
from archive.s3_store import S3Store
from tests.archive.stores.matrix import CONTENTS, MIDDLE
from tests.chaos import seaweed
from tests.chaos.faulty_s3 import Fault, FaultyS3
from tests.chaos.seaweed import Seaweed


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


def test_a_slow_store_is_waited_for(faulty_store: Store, proxy: FaultyS3, place: str) -> None:
    proxy.tell(bytes_per_second=2_000_000)

    faulty_store.put_if_absent(f"{place}/a", CONTENTS[MIDDLE])

    assert faulty_store.get(f"{place}/a") == CONTENTS[MIDDLE]
