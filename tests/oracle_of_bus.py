"""The judge of what is on the bus: every archived trade once and exact, and books that are those of the frames.

It reads frames and rebuilds order books in its own slow and simple way.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from streaming.events import BookDelta, BookSide, BookSnapshot, Event, GapNotice, Origin, Trade
from streaming.records import Kind, Record
from tests.oracle import Archived, Sent

Book = dict[str, dict[Decimal, Decimal]]  # side ("yes"/"no") -> price -> size


@dataclass(frozen=True)
class TradeFact:
    """A trade's exact facts, as decimals in dollars and contracts; the taker's side is `buy` or `sell`."""

    trade_id: str
    ticker: str
    price: Decimal
    size: Decimal
    side: str


def trades_of(frames: Iterable[bytes]) -> Iterator[TradeFact]:
    """The trades among frames as the exchange wrote them."""
    for frame in frames:
        outer = _parsed(frame)
        if outer.get("type") != "trade":
            continue
        message = outer["msg"]
        yield TradeFact(
            message["trade_id"],
            message["market_ticker"],
            Decimal(message["yes_price_dollars"]),
            Decimal(message["count_fp"]),
            {"yes": "buy", "no": "sell"}[message.get("taker_outcome_side") or message["taker_side"]],
        )


def _trades_in(record: Record) -> Iterator[TradeFact]:
    """The trades of a frame, or of a mark that holds what REST told of a loss."""
    if record.kind == Kind.TEXT:
        yield from trades_of([record.payload])
    elif record.kind == Kind.MARK and (told := _parsed(record.payload)).get("mark") == "rest_trades":
        for row in told["trades"]:
            yield TradeFact(
                row["trade_id"],
                row["ticker"],
                Decimal(row["yes_price_dollars"]),
                Decimal(row["count_fp"]),
                {"yes": "buy", "no": "sell"}[row["taker_outcome_side"]],
            )


def _parsed(frame: bytes) -> dict[str, Any]:
    """The frame's JSON object; an empty one where there is none."""
    try:
        found = json.loads(frame)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def fact_of(trade: Trade) -> TradeFact:
    """A trade of the bus in the same terms."""
    return TradeFact(
        trade.trade_id,
        trade.ticker,
        Decimal(trade.price_e4) / 10_000,
        Decimal(trade.size_e2) / 100,
        trade.side.value,
    )


def judge_trades(
    archive: Sequence[Archived], published: Sequence[Trade], notices: Sequence[GapNotice]
) -> list[str]:
    """Every archived trade is on the bus exactly once with its price and size; of a crashed session at most once, and
    what may be missing lies in the range that its gap event states."""
    by_identity = Counter(trade.origin.identity for trade in published)
    faults = [
        f"trade {identity} is on the bus {count} times"
        for identity, count in by_identity.items()
        if count > 1
    ]
    facts = {trade.origin.identity: fact_of(trade) for trade in published}
    stated = {notice.session: notice.unpublished for notice in notices if notice.unpublished}
    known = set()
    for session in archive:
        for record in session.records:
            for k, expected in enumerate(_trades_in(record)):
                identity = f"{session.session}.{record.n}.{k}"
                known.add(identity)
                found = facts.get(identity)
                if found is None:
                    faults += _missing_trade(identity, record.n, stated.get(session.session))
                elif found != expected:
                    faults.append(f"trade {identity} is {found} on the bus, was {expected}")
    faults += [
        f"trade {identity} is on the bus, and in no frame" for identity in facts if identity not in known
    ]
    return faults


def _missing_trade(identity: str, n: int, stated: tuple[int, int] | None) -> list[str]:
    if stated and stated[0] <= n <= stated[1]:
        return []
    return [f"trade {identity} is not on the bus, and no gap event says so"]


def judge_order(published: Iterable[Event]) -> list[str]:
    """Each market's events lie in the stream in the order of their records, and session after session."""
    last: dict[str, Origin] = {}
    left: dict[str, set[str]] = defaultdict(set)  # sessions that another one has followed
    faults = []
    for event in published:
        if isinstance(event, GapNotice):
            continue
        ticker, now = event.ticker, event.origin
        before = last.get(ticker)
        if before and before.session != now.session:
            left[ticker].add(before.session)
        elif before and (now.n, now.k) <= (before.n, before.k):
            faults.append(f"{ticker}: {now.identity} comes after {before.identity}")
        if now.session in left[ticker]:
            faults.append(f"{ticker}: {now.identity} comes after a later session")
        last[ticker] = now
    return faults


def books_of_frames(frames: Iterable[bytes]) -> dict[str, Book]:
    """Order books rebuilt from frames as the exchange wrote them: the slow and simple way."""
    books: dict[str, Book] = {}
    for frame in frames:
        message = _parsed(frame)
        body = message.get("msg") or {}
        if message.get("type") == "orderbook_snapshot":
            books[body["market_ticker"]] = {
                side: {Decimal(price): Decimal(size) for price, size in body.get(f"{side}_dollars_fp", ())}
                for side in ("yes", "no")
            }
        elif message.get("type") == "orderbook_delta" and body["market_ticker"] in books:
            _change(
                books[body["market_ticker"]][body["side"]],
                Decimal(body["price_dollars"]),
                Decimal(body["delta_fp"]),
            )
    return books


def _change(levels: dict[Decimal, Decimal], price: Decimal, delta: Decimal) -> None:
    levels[price] = levels.get(price, Decimal(0)) + delta
    if levels[price] == 0:
        del levels[price]


def books_of_events(events: Iterable[BookSnapshot | BookDelta]) -> dict[str, Book]:
    """The same books as the bus tells them: by the connector's own resting sizes and checkpoints."""
    books: dict[str, Book] = {}
    for event in events:
        if isinstance(event, BookSnapshot):
            books[event.ticker] = {
                "yes": {Decimal(one.price_e4) / 10_000: Decimal(one.size_e2) / 100 for one in event.bids},
                "no": {1 - Decimal(one.price_e4) / 10_000: Decimal(one.size_e2) / 100 for one in event.asks},
            }
        elif event.size_e2 is not None and event.ticker in books:
            price = Decimal(event.price_e4) / 10_000
            levels = books[event.ticker]["yes" if event.side is BookSide.BID else "no"]
            at = price if event.side is BookSide.BID else 1 - price
            levels[at] = Decimal(event.size_e2) / 100
            if event.size_e2 == 0:
                del levels[at]
    return books


def last_connection(sent: Sequence[Sent]) -> list[bytes]:
    """The frames of the last connection that carried order books."""
    with_books = [one.connection for one in sent if b'"orderbook_snapshot"' in one.frame]
    return [one.frame for one in sent if with_books and one.connection == with_books[-1]]
