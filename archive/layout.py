"""The key of every object in the archive, built and read in this one place."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from streaming.subjects import escape, unescape

# Raw type, as it stands in a line, to the name of its file.
RAW_FILES = {
    "trade": "trades",
    "orderbook": "orderbook",
    "ticker": "ticker",
    "lifecycle": "lifecycle",
    "control": "control",
    "unknown": "unknown",
}

_DATA, _MANIFEST = ".jsonl.zst", ".json"
_MANIFEST_KEY = re.compile(
    r"(?P<feed>[^/]+)/(?P<day>\d{4}/\d{2}/\d{2})/_parts/(?P<session>[^/]+)/(?P<first>\d{20})-(?P<last>\d{20})\.json"
)
_DAY_IN_KEY = re.compile(r"[^/]+/(\d{4})/(\d{2})/(\d{2})/")


@dataclass(frozen=True, slots=True, order=True)
class PartKey:
    """Which records a raw part holds: its place follows from this alone."""

    feed: str
    on: date
    session: str
    first_n: int
    last_n: int

    @property
    def data(self) -> str:
        """The part's lines."""
        return self._stem() + _DATA

    @property
    def manifest(self) -> str:
        """What says that the part counts."""
        return self._stem() + _MANIFEST

    def _stem(self) -> str:
        return f"{session_prefix(self.feed, self.on, self.session)}{self.first_n:020d}-{self.last_n:020d}"


def day_prefix(feed: str, on: date) -> str:
    """All of one feed and UTC day."""
    return f"{escape(feed)}/{on:%Y/%m/%d}/"


def parts_prefix(feed: str, on: date) -> str:
    """The raw parts of a day."""
    return f"{day_prefix(feed, on)}_parts/"


def session_prefix(feed: str, on: date, session: str) -> str:
    """The raw parts of one session and day."""
    return f"{parts_prefix(feed, on)}{escape(session)}/"


def owner_key(feed: str) -> str:
    """Which environment writes this feed's archive."""
    return f"{escape(feed)}/_owner.json"


def raw_file(feed: str, on: date, raw_type: str, *, hour: int, version: int = 1) -> str:
    """A sealed raw file, e.g. `kalshi/2025/12/14/trades-00.jsonl.zst`; later versions lie beside it."""
    if not 0 <= hour < 24:
        raise ValueError(f"{hour} is no hour of a day")
    suffix = f".v{version}" if version > 1 else ""
    return f"{day_prefix(feed, on)}{RAW_FILES[raw_type]}-{hour:02d}{suffix}{_DATA}"


def parse_manifest_key(key: str) -> PartKey | None:
    """What the manifest at `key` is of; None for any other key."""
    match = _MANIFEST_KEY.fullmatch(key)
    if match is None:
        return None
    return PartKey(
        feed=unescape(match["feed"]),
        on=datetime.strptime(match["day"], "%Y/%m/%d").replace(tzinfo=UTC).date(),
        session=unescape(match["session"]),
        first_n=int(match["first"]),
        last_n=int(match["last"]),
    )


def day_of_key(key: str) -> date | None:
    """The UTC day that an object belongs to, if to one."""
    match = _DAY_IN_KEY.match(key)
    return date(int(match[1]), int(match[2]), int(match[3])) if match else None


def day_of(received_ns: int) -> date:
    """The UTC day of a receive time in Unix ns."""
    return datetime.fromtimestamp(received_ns // 1_000_000_000, UTC).date()


def days_between(first: date, last: date) -> list[date]:
    """The days from `first` to `last`, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
