"""What is still to be published: taken in order, removed once the bus has it.

Rows stand in the order of their ids for each ticker, since a market's row is locked while its changes are written.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from registry.models import Feed
from secmaster.models import MarketNotice

TAKE = 256
# The bus keeps no longer what it is told; who reads later asks the security master.
KEPT_FOR = timedelta(hours=72)


class Waiting(NamedTuple):
    """One notice as it is published."""

    pk: int
    ticker: str
    change: str
    identity: str
    payload: bytes


def oldest(feed: Feed) -> list[Waiting]:
    """The notices to publish next."""
    rows = MarketNotice.objects.filter(feed=feed).order_by("id")[:TAKE]
    return [
        Waiting(row.pk, row.ticker, row.change, row.identity, msgspec.json.encode({"id": row.pk, **row.body}))
        for row in rows
    ]


def waves(waiting: Iterable[Waiting]) -> Iterator[list[Waiting]]:
    """Notices that may be on their way at once: of each ticker one, so that none overtakes an earlier one."""
    left = list(waiting)
    while left:
        wave: dict[str, Waiting] = {}
        later = []
        for one in left:
            if one.ticker in wave:
                later.append(one)
            else:
                wave[one.ticker] = one
        yield list(wave.values())
        left = later


def published(pks: Iterable[int]) -> None:
    """The bus has these."""
    MarketNotice.objects.filter(pk__in=list(pks)).delete()


def depth(feed: Feed) -> int:
    """How many wait."""
    return MarketNotice.objects.filter(feed=feed).count()


def expire(feed: Feed, now: datetime) -> int:
    """Remove what nobody published in three days: no follower runs. Returns how many."""
    return MarketNotice.objects.filter(feed=feed, written_at__lt=now - KEPT_FOR).delete()[0]
