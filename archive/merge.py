"""The events of one market that several sessions recorded at once, as one: for the seal, replay and the gateway. Pure.

Trades are told apart by the venue's own id: the first to arrive counts. For everything else one session is followed at
a time: from the newer session's first whole book on (first event of other kinds) the older one adds nothing; it is
followed again from a whole book of its own when the newer one ended first. What is left out is overlap: raw has it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

ItemT = TypeVar("ItemT")


class Seen(NamedTuple):
    """What the merge needs to know of an event."""

    session: str
    trade_id: str | None = None  # of trades only
    # A change of a book says nothing to whoever has another session's book: only a whole one can take over.
    can_take_over: bool = True


def merged(items: Sequence[ItemT], describe: Callable[[ItemT], Seen]) -> list[ItemT]:
    """The items, in order of receive time, without those that another session has already told.

    A session's name begins with its feed and start time: the greater name is the newer session.
    """
    seen = [describe(item) for item in items]
    if len({one.session for one in seen}) < 2:
        return list(items)
    if seen[0].trade_id is not None:
        return _first_of_each(items, (one.trade_id for one in seen))
    return _followed(items, seen)


def _first_of_each(items: Iterable[ItemT], ids: Iterable[str | None]) -> list[ItemT]:
    known: set[str | None] = set()
    kept = []
    for item, trade_id in zip(items, ids, strict=True):
        if trade_id not in known:
            known.add(trade_id)
            kept.append(item)
    return kept


def _followed(items: Sequence[ItemT], seen: Sequence[Seen]) -> list[ItemT]:
    ends = {one.session: index for index, one in enumerate(seen)}
    followed = seen[0].session
    kept = []
    for index, (item, one) in enumerate(zip(items, seen, strict=True)):
        is_newer = one.session > followed
        if (is_newer and (one.can_take_over or ends[followed] < index)) or (
            one.session < followed and ends[followed] < index and one.can_take_over
        ):
            followed = one.session
        if one.session == followed:
            kept.append(item)
    return kept
