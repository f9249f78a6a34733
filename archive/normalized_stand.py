"""How far a stream is archived, by the parts' own manifests, and where to go on. Pure.

An epoch is the stream's time of creation; `-2`, `-3` behind it are further lives: the same stream, with numbers that
now mean something else (a store put back from a copy), or a place in the archive that somebody else's object takes.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from archive.normalized_manifest import Anchor


class Stand(NamedTuple):
    """Every message of this life up to `position` is in committed parts."""

    epoch: str
    position: int
    anchor: Anchor = Anchor()


class StreamState(NamedTuple):
    """What a stream says of itself."""

    created: datetime
    first_seq: int
    last_seq: int


class TakeUp(NamedTuple):
    """Where to go on; `why` says what is wrong with the numbers that were known."""

    stand: Stand
    why: str = ""


def epoch_of(created: datetime) -> str:
    """The stream's first life, e.g. `20251214T001000000000Z`."""
    return f"{created.astimezone(UTC):%Y%m%dT%H%M%S%f}Z"


def life_of(epoch: str) -> tuple[str, int]:
    """The stream's creation, and which of its lives."""
    created, _, number = epoch.partition("-")
    return created, int(number) if number.isdigit() else 1


def next_life(epoch: str) -> str:
    """The name of the life after this one."""
    created, number = life_of(epoch)
    return f"{created}-{number + 1}"


def furthest(stand: Stand) -> tuple[int, int]:
    """What decides between two stands of one stream: the later life, then the later message."""
    return life_of(stand.epoch)[1], stand.position


def take_up(known: Stand | None, stream: StreamState, *, found: str | None) -> TakeUp:
    """Go on after what is archived; `found` is the identity of the message that now has the anchor's number, if any."""
    first = max(stream.first_seq, 1)
    if known is None or life_of(known.epoch)[0] != epoch_of(stream.created):
        return TakeUp(Stand(epoch_of(stream.created), first - 1))
    anew = Stand(next_life(known.epoch), first - 1)
    if stream.last_seq < known.position:
        why = f"the stream ends at {stream.last_seq}; {known.position} messages of it are archived"
        return TakeUp(anew, why)
    if found is not None and found != known.anchor.id:
        why = f"message {known.anchor.seq} is now {found!r}; archived was {known.anchor.id!r}"
        return TakeUp(anew, why)
    return TakeUp(known)
