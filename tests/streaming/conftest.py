"""Events as a connector would publish them, and a real nats-server to publish them to."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from streaming.events import BookDelta, BookSide, BookSnapshot, GapNotice, Level, Origin, TakerSide, Trade
from tests.running import NatsServer, Publisher

SESSION = "feed-20260101T000000Z-abc123"


def origin(n: int, *, k: int = 0, session: str = SESSION) -> Origin:
    return Origin(session=session, n=n, k=k, received_ns=1_700_000_000_000_000_000 + n, connection=1)


def trade(ticker: str, n: int, *, price_e4: int = 4500, size_e2: int = 1350) -> Trade:
    return Trade(
        ticker=ticker,
        trade_id=f"t{n}",
        price_e4=price_e4,
        size_e2=size_e2,
        side=TakerSide.BUY,
        venue_ns=1_702_540_800_000_000_000,
        origin=origin(n),
    )


def snapshot(
    ticker: str,
    n: int,
    *,
    bids: dict[int, int],
    asks: dict[int, int] | None = None,
    checkpoint: bool = False,
    session: str = SESSION,
) -> BookSnapshot:
    return BookSnapshot(
        ticker=ticker,
        bids=tuple(Level(price, bids[price]) for price in sorted(bids, reverse=True)),
        asks=tuple(Level(price, size) for price, size in sorted((asks or {}).items())),
        venue_ns=None,
        origin=origin(n, k=int(checkpoint), session=session),
        is_checkpoint=checkpoint,
    )


def delta(
    ticker: str, n: int, price_e4: int, size_e2: int | None, *, delta_e2: int = 100, session: str = SESSION
) -> BookDelta:
    return BookDelta(
        ticker=ticker,
        side=BookSide.BID,
        price_e4=price_e4,
        delta_e2=delta_e2,
        size_e2=size_e2,
        venue_ns=None,
        origin=origin(n, session=session),
    )


def gap(*tickers: str, number: int = 9, ended: bool = False, cause: str = "sequence_gap") -> GapNotice:
    return GapNotice(
        cause=cause,
        session=SESSION,
        number=number,
        connection=1,
        from_ns=1_700_000_000_000_000_000,
        to_ns=1_700_000_001_000_000_000 if ended else None,
        tickers=tickers,
    )


class Make:
    """The makers above, as one fixture."""

    origin = staticmethod(origin)
    trade = staticmethod(trade)
    snapshot = staticmethod(snapshot)
    delta = staticmethod(delta)
    gap = staticmethod(gap)


@pytest.fixture
def make() -> type[Make]:
    return Make


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running server with JetStream."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def own_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A running server that the test may stop."""
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def publisher(nats_server: str) -> AsyncIterator[Publisher]:
    feed = f"feed-{uuid4().hex[:8]}"
    publisher = await Publisher.open(nats_server, feed=feed, stream=f"ssmd-{feed}")
    yield publisher
    await publisher.close()
