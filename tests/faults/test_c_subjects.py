"""C: what an exchange writes into tickers and ids never becomes part of a subject or a header."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from streaming import publisher, subjects
from streaming.events import Event, GapNotice, Trade
from streaming.notices import identity_of
from streaming.subjects import unescape
from tests.faults.bus_faults import PUBLISHED, proven
from tests.faults.lossy_bus import SESSION, Life
from tests.faults.proof import fault
from tests.streaming.bus import stored
from tests.streaming.kalshi.frames import trade

PIECES = [
    "*", ">", ".", "..", " ", "\t", "\r\n", "\n", "\r", "\0", "\x7f", "\x85", "\u2028", "\xa0", "/", "\\", "%", "=",
    "=2E", "==", "$", "$JS.API.STREAM.DELETE.x", "_INBOX.x", "é", "ß", "\u0442", "\u65e5\u672c", "\U0001f600",
    "\u202e", "e\u0301", "\ufeff", "'", '"', "`", ";", "{{wildcard(1)}}", "PUB x 0\r\n\r\n", "-ERR", "a*", "~",
]  # fmt: skip
HOSTILE = sorted(
    {
        *(
            made
            for piece in PIECES
            for made in (piece, f"{piece}A", f"A{piece}", f"A{piece}B", f"{piece}.{piece}")
        ),
        *(piece * (200 // len(piece)) for piece in PIECES),
    }
)
TOKEN = re.compile(r"[A-Za-z0-9_=-]+\Z")
OURS = re.compile(re.escape(SESSION) + r"\.\d+\.(\d+|opened|closed)\Z")


def subject_faults(one: Life, found: Sequence[tuple[str, bytes, str]]) -> list[str]:
    """Each market's messages have one subject of their own, from which its ticker can be read."""
    tokens = [subject.split(".") for subject, _, _ in found]
    odd = [token for token in tokens if len(token) != 3 or not TOKEN.match(token[2])]
    tickers = {unescape(token[2]) for token in tokens if token[1] == "trade"}
    also = [f"{len(odd)} odd subjects"] if odd else []
    also += [] if tickers == {*HOSTILE, "A"} else [f"{len(tickers)} tickers of {len(HOSTILE) + 1}"]
    lost = one.client.stats["reconnects"]
    return [*also, *([f"{lost} connections lost"] if lost else [])]


async def _hostile_tickers(one: Life) -> Sequence[str]:
    await one.step()
    one.record(*(trade(ticker, 20 + number) for number, ticker in enumerate(HOSTILE, start=1)))
    await one.settle()
    return subject_faults(one, await stored(one.server.url, one.spec.name))


@fault("C15")
def test_no_ticker_breaks_a_subject_or_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(HOSTILE) >= 200
    proven(
        tmp_path,
        _hostile_tickers,
        metric=PUBLISHED,
        at_least=len(HOSTILE),
        off=lambda patched: patched.setattr(subjects, "_token", lambda text: text),
        monkeypatch=monkeypatch,
    )


async def _hostile_ids(one: Life) -> Sequence[str]:
    await one.step()
    ids = [f"t{piece}\r\nNats-Msg-Id: {SESSION}.1.0\r\n{piece}" for piece in PIECES]
    one.record(*(trade("A", 20 + number, trade_id=text) for number, text in enumerate(ids, start=1)))
    await one.settle()
    found = await stored(one.server.url, one.spec.name)
    odd = [identity for _, _, identity in found if not OURS.match(identity)]
    return [f"{len(odd)} odd identities"] if odd else []


@fault("C16")
def test_no_text_of_the_exchange_gets_into_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def by_the_exchange(event: Event | GapNotice) -> str:
        return event.trade_id if isinstance(event, Trade) else identity_of(event)

    proven(
        tmp_path,
        _hostile_ids,
        metric=PUBLISHED,
        at_least=len(PIECES),
        off=lambda patched: patched.setattr(publisher, "identity_of", by_the_exchange),
        monkeypatch=monkeypatch,
    )
