"""Where the follower of a stream goes on: after what it took in, unless the stream's numbers mean something else. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

# Clocks differ, and a page of a sync is older than its last byte.
BEFORE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a stream was taken in: its name, its creation (which names its numbering), the sequence.

    The anchor is the identity of the last message: a store that was restored may have grown past our number again.
    """

    stream: str
    epoch: datetime
    seq: int
    read_at: datetime
    anchor_seq: int = 0
    anchor_id: str = ""
    sync_wanted_at: datetime | None = None

    def moved(self, seq: int, *, read_at: datetime, anchor_id: str = "") -> "Stand":
        """The same further on; at a message, if it is named."""
        anchor = (seq, anchor_id) if anchor_id else (self.anchor_seq, self.anchor_id)
        return replace(self, seq=seq, read_at=read_at, anchor_seq=anchor[0], anchor_id=anchor[1])


@dataclass(frozen=True, slots=True)
class StreamNow:
    """The stream as it stands; `anchored` is the identity at our anchor, None where nothing stands there."""

    stream: str
    epoch: datetime
    first_seq: int
    last_seq: int
    anchored: str | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Read on from `stand`, or from a time where a sequence would mean nothing."""

    stand: Stand
    since: datetime | None = None
    missing: tuple[int, int] | None = None  # sequences that were gone before they were read
    new_life: str = ""


def take_up(known: Stand | None, stream: StreamNow, *, synced_at: datetime | None, now: datetime) -> Begin:
    """Where to go on. What may be missing is asked of a sync: from `sync_wanted_at` on only a later one counts."""
    if known is None or known.stream != stream.stream:
        wanted = now if synced_at is None else None
        since = (synced_at or now) - BEFORE
        return Begin(Stand(stream.stream, stream.epoch, 0, since, sync_wanted_at=wanted), since=since)
    if why := _why_renumbered(known, stream):
        stand = Stand(stream.stream, stream.epoch, 0, known.read_at, sync_wanted_at=now)
        return Begin(stand, since=known.read_at - BEFORE, new_life=why)
    if stream.first_seq > known.seq + 1:
        stand = replace(known, seq=stream.first_seq - 1, sync_wanted_at=now)
        return Begin(stand, missing=(known.seq + 1, stream.first_seq - 1))
    return Begin(known)


def _why_renumbered(known: Stand, stream: StreamNow) -> str:
    if known.epoch != stream.epoch:
        return "recreated"
    if known.seq > stream.last_seq:
        return "rolled back"
    is_there = known.anchor_id and stream.anchored is not None and stream.first_seq <= known.anchor_seq
    return "restored" if is_there and stream.anchored != known.anchor_id else ""
