"""No room for every frame: which are dropped, by a named policy, inside one gap that says so."""

from collections import Counter

import msgspec
import structlog

from streaming import capture_metrics, marks
from streaming.capture_log import CaptureLog
from streaming.kalshi.messages import decode_envelope, raw_type
from streaming.recording import OpenGaps

log = structlog.get_logger()

CAUSE = "buffer_overflow"
# What a summary of the market costs is least, what a trade costs is most. Acknowledgements and the lifecycle of markets
# are few, and kept as long as there is any room.
ORDER = ("ticker", "orderbook", "trade")
_ALWAYS = frozenset({"control", "lifecycle"})


def dropped_at(level: int) -> tuple[str, ...]:
    """The types that a level of the policy drops."""
    return ORDER[:level]


def is_dropped(kind: str, level: int) -> bool:
    """Whether a frame of this raw type goes at this level; what is unknown goes last."""
    return kind in dropped_at(level) or (level >= len(ORDER) and kind not in _ALWAYS)


class Overflow:
    """The loss from its first dropped frame until there is room and, where books were hurt, until they are whole."""

    def __init__(self, capture_log: CaptureLog, gaps: OpenGaps, feed: str) -> None:
        self._log, self._gaps, self._feed = capture_log, gaps, feed
        self._level = 0
        self._dropped: Counter[str] = Counter()
        self._hurt: dict[
            int, int
        ] = {}  # of each line the last connection of which numbered frames were dropped

    @property
    def level(self) -> int:
        """0: everything is kept."""
        return self._level

    @property
    def is_open(self) -> bool:
        """Whether frames were dropped, and the loss is not over."""
        return bool(self._dropped)

    @property
    def hurts_sequences(self) -> bool:
        """Whether numbered frames were dropped: what the venue's numbers then seem to tell is our own doing."""
        return bool(self._hurt)

    def wants_new_connection(self, line: int, connection: int) -> bool:
        """Whether there is room again, and only the snapshots of the one after this make the books whole."""
        return self._level == 0 and self._hurt.get(line) == connection

    def set_level(self, level: int, *, now_ns: int) -> None:
        """There is less room, or more."""
        if level != self._level:
            log.warning("capture policy", level=level, drops=dropped_at(level), dropped=dict(self._dropped))
            capture_metrics.POLICY.labels(self._feed).set(level)
        self._level = level
        if level == 0 and self.is_open and not self.hurts_sequences:
            self._close(now_ns)

    def ready(self, line: int, connection: int, *, now_ns: int) -> None:
        """Every subscription of this connection is acknowledged and every book has its snapshot."""
        if self._level == 0 and self.is_open and connection > self._hurt.get(line, 0):
            self._hurt.pop(line, None)
            if not self._hurt:
                self._close(now_ns)

    def takes(self, payload: bytes, *, connection: int, last_frame: tuple[int, int], line: int = 0) -> bool:
        """Whether this frame is kept; the first that is not opens the gap, after `last_frame` (n, recv_ns)."""
        kind = _kind(payload)
        if not is_dropped(kind, self._level):
            return True
        if not self.is_open:
            self._open(connection, last_frame)
        self._dropped[kind] += 1
        if kind != "ticker":  # the one type that the venue does not number
            self._hurt[line] = connection
        capture_metrics.DROPPED.labels(self._feed, kind).inc()
        return False

    def _open(self, connection: int, last_frame: tuple[int, int]) -> None:
        gap = marks.GapOpen(
            cause=CAUSE,
            connection=connection,
            from_ns=last_frame[1],
            after_n=last_frame[0],
            fault="ours",
            detail={"policy": ", ".join(ORDER)},
        )
        self._gaps.open(gap)

    def _close(self, now_ns: int) -> None:
        self._gaps.close([CAUSE], to_ns=now_ns)
        log.info("capture has room again", dropped=dict(self._dropped))
        self._dropped.clear()


def _kind(payload: bytes) -> str:
    try:
        return raw_type(decode_envelope(payload).type)
    except msgspec.DecodeError:
        return "unknown"
