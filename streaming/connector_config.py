"""What a connector is told, as plain values: it asks nobody. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streaming import room
from streaming.kalshi.plan import MOST_LINES
from streaming.kalshi.rest import Credentials
from streaming.kalshi.shards import ALL, Shard
from streaming.transport import StreamSpec


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """All that a session is told; `capture` is the environment's folder of session folders.

    `read_key` reads the venue's key again, for each attempt to connect; `books_per_connection` 0 means one connection.
    """

    feed: str
    feed_version: str
    environment: str
    environment_version: int
    config_hash: str
    endpoint: str
    rest_endpoint: str
    credentials: Credentials | None
    nats_url: str
    stream: StreamSpec
    capture: Path
    code_version: str
    tickers: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    subscribe: dict[str, Any] = field(default_factory=dict)
    with_raw: bool = True
    metrics_port: int = 0
    max_bytes: int = room.MAX_BYTES  # that the environment's capture logs may take
    read_key: Callable[[], Credentials] | None = None
    books_per_connection: int = 0
    connections: int = MOST_LINES
    shard: Shard = ALL
    take_over: bool = False  # from a connector that runs, once this one is ready

    @property
    def is_everything(self) -> bool:
        """No pattern given means all markets."""
        return not (self.tickers or self.series or self.categories)
