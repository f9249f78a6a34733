"""Recorded times moved to now, as text, so that everything else of a frame stays as it was; pure."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from streaming.kalshi.simulator.frames import rfc3339

_KEYS = (
    rb'"(ts|ts_ms|time|[a-z_]+_ts|[a-z_]+_ts_ms|[a-z_]+_time|occurrence_datetime|strike_date|received_at)"'
)
_TIMES = re.compile(_KEYS + rb':("\d{4}-\d\d-\d\dT[0-9:.]+Z"|\d{9,19})(?=[,}])')
_TS_MS = re.compile(rb'"ts_ms":(\d{12,14})[,}]')
_DELTA_TAIL = re.compile(rb',"ts":"(\d{4}-\d\d-\d\dT[0-9:.]+Z)","ts_ms":(\d{12,14})\}')
_TIMES_LAST = (b"orderbook_delta", b"trade")
_ZERO = b'"0001-01-01T'
_LEAST_MS = 100_000_000_000  # smaller numbers count seconds


class Clock:
    """Recorded time to shown time: long silence cut out, moved to the start of the replay, scaled."""

    def __init__(self, first_ms: int, cuts: Sequence[tuple[int, int]], *, speed: float, keep: bool) -> None:
        self._first_us = first_ms * 1000
        self._speed = speed or 1.0
        self._keep = keep
        self._start_us = self._first_us
        self._last_tail = self._last_shown = b""
        self._from_us = [start * 1000 for start, _ in cuts]
        self._cut_us = [length * 1000 for _, length in cuts]
        self._cut_before = [sum(self._cut_us[:index]) for index in range(len(cuts))]

    def start(self, now_us: int) -> None:
        """The recording's first frame happens now; whole milliseconds, so that ms and µs agree."""
        self._start_us = now_us // 1000 * 1000
        self._last_tail = b""

    def elapsed_us(self, recv_ms: int) -> int:
        """How long after the first frame a frame is due."""
        return int(self._position_us(recv_ms * 1000) / self._speed)

    def shown_us(self, at_us: int) -> int:
        """A recorded instant as clients see it."""
        if self._keep:
            return at_us
        position = self._position_us(at_us)
        return self._start_us + (position if self._speed == 1.0 else int(position / self._speed))

    def retimed(self, msg: bytes, kind: bytes = b"") -> bytes:
        """A message with every time moved and every other byte kept."""
        if self._keep:
            return msg
        # Nearly all frames are deltas and trades, whose times stand together at the end, often the same ones again.
        start = msg.rfind(b',"ts":') if kind in _TIMES_LAST else -1
        if start < 0:
            return self._retimed(msg)
        tail = msg[start:]
        if tail != self._last_tail:
            self._last_tail, self._last_shown = tail, self._retimed_tail(tail)
        return msg[:start] + self._last_shown

    def _retimed_tail(self, tail: bytes) -> bytes:
        found = _DELTA_TAIL.fullmatch(tail)
        if found is None:
            return self._retimed(tail)
        at_us, at_ms = (
            self.shown_us(parsed_us(found[1].decode())),
            self.shown_us(int(found[2]) * 1000) // 1000,
        )
        return b',"ts":"%b","ts_ms":%d}' % (rfc3339(at_us).encode(), at_ms)

    def _retimed(self, text: bytes) -> bytes:
        found = _TS_MS.search(text)
        # Seconds are cut from the same instant as the milliseconds, or they could disagree after scaling.
        exact_ms = int(found[1]) if found else None
        return _TIMES.sub(lambda time: self._replaced(time, exact_ms), text)

    def _replaced(self, found: re.Match[bytes], exact_ms: int | None) -> bytes:
        key, value = found[1], found[2]
        if value[:1] == b'"':
            text = value if value.startswith(_ZERO) else b'"%b"' % self.text(value[1:-1].decode()).encode()
            return b'"%b":%b' % (key, text)
        number = int(value)
        if number >= _LEAST_MS:
            return b'"%b":%d' % (key, self.shown_us(number * 1000) // 1000)
        exact = exact_ms if exact_ms is not None and exact_ms // 1000 == number else number * 1000
        return b'"%b":%d' % (key, self.shown_us(exact * 1000) // 1_000_000)

    def text(self, value: str) -> str:
        """An RFC 3339 time, moved."""
        return rfc3339(self.shown_us(parsed_us(value)))

    def body(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A REST object with its times moved."""
        return {key: self._value(key, value) for key, value in fields.items()}

    def _value(self, key: str, value: Any) -> Any:
        is_time = key.endswith(("_time", "_ts")) or key in ("occurrence_datetime", "strike_date")
        if self._keep or not is_time or not isinstance(value, str) or not value or value.startswith("0001"):
            return value
        return self.text(value)

    def _position_us(self, at_us: int) -> int:
        """Microseconds since the first frame, idle stretches cut at their beginning."""
        if not self._from_us:
            return at_us - self._first_us
        index = bisect_right(self._from_us, at_us) - 1
        if index < 0:
            return at_us - self._first_us
        into = min(at_us - self._from_us[index], self._cut_us[index])
        return at_us - self._first_us - self._cut_before[index] - into


def parsed_us(text: str) -> int:
    """Unix microseconds of an RFC 3339 UTC time."""
    fraction = text[20:-1]
    return _whole_seconds(text[:19]) * 1_000_000 + (int(fraction.ljust(6, "0")[:6]) if fraction else 0)


@lru_cache(maxsize=4096)
def _whole_seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp())
