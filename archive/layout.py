"""The key of every object in the archive, built and read in this one place."""

import hashlib
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

# Registered name of a schema to its folder in the normalized archive, which is also the token of its subjects.
FOLDERS = {"trade": "trade", "orderbook": "orderbook", "market_status": "status", "ticker": "ticker"}

_DATA, _MANIFEST, _EVENTS = ".jsonl.zst", ".json", ".capnp.zst"
_LONGEST_SEGMENT = 200  # of a key: file systems take 255 bytes
_MANIFEST_KEY = re.compile(
    r"(?P<feed>[^/]+)/(?P<day>\d{4}/\d{2}/\d{2})/_parts/(?P<session>[^/]+)/(?P<first>\d{20})-(?P<last>\d{20})\.json"
)
_EVENTS_KEY = re.compile(
    r"(?P<feed>[^/]+)/(?P<schema>[^/]+)/_parts/(?P<day>\d{4}/\d{2}/\d{2})/(?P<epoch>[^/]+)"
    r"/(?P<first>\d{20})-(?P<last>\d{20})\.json"
)
_SEAL_KEY = re.compile(r"[^/]+/\d{4}/\d{2}/\d{2}/_seal/(?P<version>\d{4})\.json")


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


@dataclass(frozen=True, slots=True, order=True)
class EventsKey:
    """Which messages of a stream a provisional normalized part holds; `epoch` tells the stream's lives apart."""

    feed: str
    schema: str
    on: date
    epoch: str
    first_seq: int
    last_seq: int

    def data(self, token: str) -> str:
        """The part's events of one kind."""
        return f"{self._stem()}.{token}{_EVENTS}"

    @property
    def quarantine(self) -> str:
        """The part's messages that could not be read, as JSON lines."""
        return f"{self._stem()}.quarantine{_DATA}"

    @property
    def manifest(self) -> str:
        """What says that the part counts."""
        return self._stem() + _MANIFEST

    def _stem(self) -> str:
        folder = f"{events_prefix(self.feed, self.schema, self.on)}{escape(self.epoch)}/"
        return f"{folder}{self.first_seq:020d}-{self.last_seq:020d}"


def day_prefix(feed: str, on: date) -> str:
    """All of one feed and UTC day."""
    return f"{escape(feed)}/{on:%Y/%m/%d}/"


def parts_prefix(feed: str, on: date) -> str:
    """The raw parts of a day."""
    return f"{day_prefix(feed, on)}_parts/"


def session_prefix(feed: str, on: date, session: str) -> str:
    """The raw parts of one session and day."""
    return f"{parts_prefix(feed, on)}{escape(session)}/"


def events_prefix(feed: str, schema: str, on: date) -> str:
    """The provisional normalized parts of a day."""
    return f"{escape(feed)}/{schema}/_parts/{on:%Y/%m/%d}/"


def events_file(feed: str, schema: str, folder: str, on: date, ticker: str, *, version: int = 1) -> str:
    """A sealed normalized file, e.g. `kalshi/v2/trade/2025/12/14/INXD-25-B4000/data.capnp.zst`."""
    suffix = f".v{version}" if version > 1 else ""
    return f"{escape(feed)}/{schema}/{folder}/{on:%Y/%m/%d}/{_folder_of(ticker)}/data{suffix}{_EVENTS}"


def _folder_of(ticker: str) -> str:
    """The ticker, escaped; one that is too long for a folder's name is cut, and told apart by a hash of the whole."""
    escaped = escape(ticker)
    if len(escaped) <= _LONGEST_SEGMENT:
        return escaped
    return f"{escaped[: _LONGEST_SEGMENT - 33]}.{hashlib.sha256(ticker.encode()).hexdigest()[:32]}"


def index_file(feed: str, schema: str, on: date, *, version: int, shard: int) -> str:
    """Which normalized files one shard of a sealed day made: one line each."""
    return f"{escape(feed)}/{schema}/_index/{on:%Y/%m/%d}/{version:04d}-{shard:03d}{_DATA}"


def seal_prefix(feed: str, on: date) -> str:
    """Plans, reports and manifests of a day's sealed versions."""
    return f"{day_prefix(feed, on)}_seal/"


def plan_key(feed: str, on: date, version: int) -> str:
    """What a sealed version is made from."""
    return f"{seal_prefix(feed, on)}{version:04d}.plan.json"


def step_key(feed: str, on: date, version: int, step: str) -> str:
    """What one step of sealing made, e.g. `raw-07` or `shard-003`: the step is done once this is there."""
    return f"{seal_prefix(feed, on)}{version:04d}.{step}.json"


def seal_key(feed: str, on: date, version: int) -> str:
    """The day manifest: the version counts once this is there."""
    return f"{seal_prefix(feed, on)}{version:04d}.json"


def parse_seal_key(key: str) -> int | None:
    """The version whose day manifest lies at `key`."""
    match = _SEAL_KEY.fullmatch(key)
    return int(match["version"]) if match else None


def owner_key(feed: str) -> str:
    """Which environment writes this feed's archive."""
    return f"{escape(feed)}/_owner.json"


def raw_file(feed: str, on: date, raw_type: str, *, hour: int, version: int = 1) -> str:
    """A sealed raw file, e.g. `kalshi/2025/12/14/trades-00.jsonl.zst`; later versions lie beside it."""
    if not 0 <= hour < 24:
        raise ValueError(f"{hour} is no hour of a day")
    suffix = f".v{version}" if version > 1 else ""
    return f"{day_prefix(feed, on)}{RAW_FILES[raw_type]}-{hour:02d}{suffix}{_DATA}"


def parse_events_key(key: str) -> EventsKey | None:
    """What the provisional manifest at `key` is of; None for any other key."""
    match = _EVENTS_KEY.fullmatch(key)
    if match is None:
        return None
    on = _day(match["day"])
    first, last = int(match["first"]), int(match["last"])
    return EventsKey(unescape(match["feed"]), match["schema"], on, unescape(match["epoch"]), first, last)


def parse_manifest_key(key: str) -> PartKey | None:
    """What the manifest at `key` is of; None for any other key."""
    match = _MANIFEST_KEY.fullmatch(key)
    if match is None:
        return None
    return PartKey(
        feed=unescape(match["feed"]),
        on=_day(match["day"]),
        session=unescape(match["session"]),
        first_n=int(match["first"]),
        last_n=int(match["last"]),
    )


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y/%m/%d").replace(tzinfo=UTC).date()


def day_of(received_ns: int) -> date:
    """The UTC day of a receive time in Unix ns."""
    return datetime.fromtimestamp(received_ns // 1_000_000_000, UTC).date()


def days_between(first: date, last: date) -> list[date]:
    """The days from `first` to `last`, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
