"""The kept marks of sessions, and which records of each are committed; times are Unix ns. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from registry.calendar import Span
from registry.calendar import merged as merged_spans
from registry.calendar import without as spans_without
from streaming import marks

# What a session can record; each is tiled for itself.
CHANNELS = ("orderbook", "trade", "ticker", "lifecycle")
# Parts are committed at the latest every 60 s: a session that let none come for so long is taken for dead.
SILENT_NS = 120 * 10**9
FOR_EVER_NS = 2**63 - 1


class SessionMark(NamedTuple):
    """A mark and whose it is; its receive time in Unix ns."""

    session: str
    n: int
    recv_ns: int
    mark: marks.Mark


class Run(NamedTuple):
    """Committed records of a session, without a hole: n from first to last, received from when to when."""

    session: str
    first_n: int
    last_n: int
    first_ns: int
    last_ns: int


def runs_of(parts: Iterable[Run]) -> list[Run]:
    """Parts that follow each other as one: what is left apart has a hole before it."""
    found: list[Run] = []
    for part in sorted(parts):
        last = found[-1] if found else None
        if last and last.session == part.session and part.first_n <= last.last_n + 1:
            end = max((last.last_n, last.last_ns), (part.last_n, part.last_ns))
            found[-1] = last._replace(last_n=end[0], last_ns=end[1])
        else:
            found.append(part)
    return found


def by_session(known: Iterable[SessionMark]) -> dict[str, list[SessionMark]]:
    """Each session's marks in order of n, each once."""
    ordered = sorted(set_of(known), key=attrgetter("session", "n"))
    return {session: list(own) for session, own in groupby(ordered, key=attrgetter("session"))}


def set_of(known: Iterable[SessionMark]) -> Iterable[SessionMark]:
    """Each mark once, however many sources told of it."""
    return {(at.session, at.n): at for at in known}.values()


def has_ended(own: Iterable[SessionMark]) -> bool:
    """Whether the session's end mark is among these."""
    return any(isinstance(at.mark, marks.SessionEnd) for at in own)


def with_assumed_ends(
    known: Iterable[SessionMark], runs: Iterable[Run], *, now_ns: int
) -> dict[str, list[SessionMark]]:
    """Each session's marks; those that fell silent get the marks that the shipper would write for the dead.

    They take the numbers that the next records would have: what really comes next replaces them.
    """
    found: defaultdict[str, list[SessionMark]] = defaultdict(list, by_session(known))
    for session, last in last_runs(runs).items():
        if now_ns - last.last_ns >= SILENT_NS and not has_ended(found[session]):
            found[session].extend(_assumed_end(last, found[session]))
    return dict(found)


def last_runs(runs: Iterable[Run]) -> dict[str, Run]:
    """The latest committed records of each session."""
    return {run.session: run for run in sorted(runs)}


def _assumed_end(last: Run, own: Sequence[SessionMark]) -> Iterator[SessionMark]:
    crash = marks.GapOpen(
        cause="process_crash",
        connection=0,
        from_ns=last.last_ns,
        after_n=last.last_n,
        fault="unknown",
        detail={"assumed": True},
    )
    n = last.last_n
    if not (own and own[-1].n == n and is_crash(own[-1].mark)):  # a full disk took the end mark only
        n += 1
        yield SessionMark(last.session, n, last.last_ns + 1, crash)
    yield SessionMark(last.session, n + 1, last.last_ns + 2, marks.SessionEnd(reason="silent"))


def is_crash(mark: marks.Mark) -> bool:
    """Whether this mark says that the session died."""
    return isinstance(mark, marks.GapOpen) and mark.cause == "process_crash"


def is_of_all(mark: marks.GapOpen) -> bool:
    """Whether the loss is of the whole session: every channel, every market."""
    return not mark.tickers and not mark.sid and not mark.channels


def concerns(mark: marks.GapOpen, channel: str) -> bool:
    """Whether a loss is of this whole channel; one of an unknown subscription may be of any."""
    if mark.tickers or (mark.channels and channel not in mark.channels):
        return False
    return not mark.sid or mark.channel in ("", channel)


def shard_of(own: Iterable[SessionMark]) -> str:
    """Which of several connectors recorded the session; empty where there was one."""
    return next((at.mark.shard for at in own if isinstance(at.mark, marks.SessionStart)), "")


def carried(own: Iterable[SessionMark]) -> list[str]:
    """The channels that the session's connections carried; all, where nothing says otherwise."""
    opened = [at.mark.channels for at in own if isinstance(at.mark, marks.ConnectionOpen)]
    if not all(opened):
        return list(CHANNELS)
    return [one for one in CHANNELS if any(one in channels for channels in opened)] or list(CHANNELS)


def captured(
    own: Sequence[SessionMark],
    *,
    channel: str | None = None,
    channels: Sequence[str] = CHANNELS,
    until_ns: int = FOR_EVER_NS,
) -> list[Span]:
    """When a session recorded this channel whole (None: all of `channels`): ready, and outside of its own losses.

    `own` are its marks in order; a connection of which no end is known lasts until `until_ns`.
    """
    if channel is None:
        return _common(captured(own, channel=one, until_ns=until_ns) for one in channels)
    lost = [span for at, span in own_losses(own) if concerns(at, channel)]
    return spans_without(ready(own, channel, until_ns=until_ns), merged_spans(lost))


def _common(each: Iterable[list[Span]]) -> list[Span]:
    """The times that lie in all of them."""
    first, *others = each
    for spans in others:
        first = spans_without(first, spans_without([(0, FOR_EVER_NS)], spans))
    return first


def own_losses(own: Sequence[SessionMark]) -> Iterator[tuple[marks.GapOpen, Span]]:
    """Each loss as far as the session itself tells: what it never closed has no end."""
    closed = closes(own)
    for at in own:
        if isinstance(at.mark, marks.GapOpen):
            end = closed.get(at.n, FOR_EVER_NS)
            yield at.mark, (at.mark.from_ns, max(end, at.mark.from_ns))


def closes(own: Iterable[SessionMark]) -> Mapping[int, int]:
    """When each of the session's losses was over, by number."""
    return {at.mark.gap: at.mark.to_ns for at in own if isinstance(at.mark, marks.GapClose)}


def ready(own: Sequence[SessionMark], channel: str, *, until_ns: int) -> list[Span]:
    """When a connection that carries this channel was ready, lost or not.

    Of several lines that carry it one is enough: what another has lost are single markets, or a loss of its own.
    """
    spans: list[Span] = []
    carried: dict[int, marks.ConnectionOpen] = {}  # by connection
    since: dict[int, int] = {}  # by line
    whole = {at.n for at in own if isinstance(at.mark, marks.GapOpen) and concerns(at.mark, channel)}
    for index, at in enumerate(own):
        over: Iterable[int] = ()
        match at.mark:
            case marks.ConnectionOpen():
                carried[at.mark.connection] = at.mark
                over = [at.mark.line]
            case marks.ConnectionReady():
                begun = carried.get(at.mark.connection, marks.ConnectionOpen(at.mark.connection))
                if not begun.channels or channel in begun.channels:
                    since.setdefault(begun.line, _ready_since(own, index, whole))
            case marks.ConnectionClose():
                over = [carried[at.mark.connection].line if at.mark.connection in carried else 0]
            case marks.SessionEnd():
                over = list(since)
        spans += [(since.pop(line), at.recv_ns) for line in over if line in since]
    spans += [(start, until_ns) for start in since.values()]
    return merged_spans(spans)


def _ready_since(own: Sequence[SessionMark], index: int, whole: Collection[int]) -> int:
    """The mark is written a moment after the frame that it follows from, which is where losses end."""
    since = own[index].recv_ns
    for following in range(index + 1, len(own)):
        mark = own[following].mark
        if not isinstance(mark, marks.GapClose):
            break
        if mark.gap in whole:
            since = min(since, mark.to_ns)
    return since
