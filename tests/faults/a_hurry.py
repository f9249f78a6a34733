"""A connector in a hurry: what takes seconds takes a tenth of them, so that a test of its faults does, too."""

from typing import Any

import pytest

from streaming import connector
from streaming.kalshi import (
    audit,
    back_off,
    books_due,
    market_lister,
    pending,
    rest,
    trade_healer,
    venue_watch,
)
from streaming.kalshi import session as conversation
from streaming.kalshi import socket as kalshi_socket

MS = 1_000_000
SILENT_SECONDS = 0.6


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """All waits of the connector, shortened; what looks after silence is for the tests that want it."""
    open_socket: Any = kalshi_socket.KalshiSocket.open
    monkeypatch.setitem(open_socket.__func__.__kwdefaults__, "silent_for", SILENT_SECONDS)
    for module, name, value in (
        (kalshi_socket, "PING_EVERY_SECONDS", 0.1),
        (back_off, "FIRST_SECONDS", 0.02),
        (back_off, "SHORTEST_SECONDS", 0.01),
        (kalshi_socket, "GOODBYE_SECONDS", 0.5),
        (back_off, "LONGEST_SECONDS", 0.3),
        (back_off, "HEALTHY_AFTER_SECONDS", 1.2),
        (pending, "ANSWER_WITHIN_NS", 500 * MS),
        (books_due, "WITHIN_NS", 500 * MS),
        (venue_watch, "LOOK_EVERY_SECONDS", 3600.0),
        (market_lister, "AGAIN_SECONDS", 0.2),
        (market_lister, "RETRY_SECONDS", 0.1),
        (trade_healer, "SETTLED_SECONDS", 0.5),
        (rest, "SECONDS_BETWEEN", 0.0),
        (connector, "TICK_SECONDS", 0.02),
    ):
        monkeypatch.setattr(module, name, value)


def quicken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now the audit, the roll call and the watch on the exchange are quick, too."""
    monkeypatch.setattr(audit, "EVERY_NS", 100 * MS)
    monkeypatch.setattr(audit, "ANSWER_WITHIN_NS", 200 * MS)
    monkeypatch.setattr(conversation, "ROLL_CALL_EVERY_NS", 200 * MS)
    monkeypatch.setattr(venue_watch, "LOOK_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(venue_watch, "QUIET_NS", 300 * MS)
    monkeypatch.setattr(venue_watch, "LATE_NS", 0)
