"""C: the bus does not take our credentials, or one of the things that we may not do or that is too large."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streaming import bus_connection, transport
from streaming.events import GapNotice, MarketEvent
from streaming.publisher import Publisher
from streaming.transport import _Errors
from tests.faults.bus_faults import proven, refusals, until
from tests.faults.lossy_bus import Life
from tests.faults.proof import fault, samples
from tests.streaming.kalshi.frames import snapshot

OPERATOR = '{user: operator, password: pw, permissions: {publish: ">", subscribe: ">"}}'
US = '{{user: us, password: "{password}", permissions: {{publish: {{deny: [{denied}]}}, subscribe: ">"}}}}'


def users(*, password: str = "right", denied: str = '"x"') -> str:
    """A server's settings; the operator is whoever comes without a name."""
    ours = US.format(password=password, denied=denied)
    return f"authorization: {{users: [{OPERATOR}, {ours}]}}\nno_auth_user: operator\n"


async def _denied(one: Life) -> Sequence[str]:
    """A wrong password, until somebody rights it."""
    counted = f'ssmd_connector_bus_refusals_total{{feed="{one.feed}",reason="authorization"}}'
    await one.step(is_published=False)
    is_seen = await until(lambda: samples().get(counted), seconds=0.8)
    await asyncio.sleep(0.9)
    tries = one.proxy.accepted
    one.server.set(users())
    one.server.signal(signal.SIGHUP)
    await one.settle()
    also = [] if is_seen else ["it is not seen"]
    return [*also, *([f"{tries} tries"] if tries > 4 else [])]


@fault("C13")
@pytest.mark.slow
def test_wrong_credentials_are_named_and_not_tried_without_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session goes on recording: the bus is no reason to lose what the exchange sends."""
    monkeypatch.setattr(transport, "CONNECT_WITHIN_SECONDS", 0.4)
    monkeypatch.setattr(bus_connection, "RETRY_SECONDS", 0.3)
    proven(
        tmp_path,
        _denied,
        metric=refusals("authorization"),
        off=lambda patched: patched.setattr(transport, "is_denied", lambda error: False),
        monkeypatch=monkeypatch,
        is_proxied=True,
        settings=users(password="other"),
        user="us:right",
    )


async def _revoked(one: Life) -> Sequence[str]:
    """Credentials that were good are so no longer, and are again: the library gives up for ever at that."""
    await one.step()
    one.server.set(users(password="other"))
    one.server.signal(signal.SIGHUP)
    await until(lambda: not one.client.is_connected)
    await one.step(is_published=False)
    await asyncio.sleep(0.6)
    one.server.set(users())
    one.server.signal(signal.SIGHUP)
    await one.settle()
    return ()


@fault("C13")
@pytest.mark.slow
def test_credentials_that_are_revoked_and_given_again_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leave(*_: object) -> None:
        """A client that the library closed stays closed."""

    monkeypatch.setattr(transport, "CONNECT_WITHIN_SECONDS", 0.4)
    monkeypatch.setattr(bus_connection, "RETRY_SECONDS", 0.3)
    proven(
        tmp_path,
        _revoked,
        metric=refusals("authorization"),
        off=lambda patched: patched.setattr(Publisher, "_replace_client", leave),
        monkeypatch=monkeypatch,
        settings=users(),
        user="us:right",
    )


async def _forbidden(one: Life) -> Sequence[str]:
    """We may not publish trades, until we may."""
    counted = f'ssmd_connector_bus_refusals_total{{feed="{one.feed}",reason="permission"}}'
    await one.step()
    one.server.set(users(denied=f'"{one.feed}.>"'))
    one.server.signal(signal.SIGHUP)
    await asyncio.sleep(0.2)
    await one.step(is_published=False)
    is_seen = await until(lambda: samples().get(counted), seconds=1)
    one.server.set(users())
    one.server.signal(signal.SIGHUP)
    await one.settle()
    return [] if is_seen else ["it is not seen"]


@fault("C13")
@pytest.mark.slow
def test_what_we_may_not_publish_is_named_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def quiet(errors: _Errors, error: Exception) -> None:
        """Nobody is told."""

    proven(
        tmp_path,
        _forbidden,
        metric=refusals("permission"),
        off=lambda patched: patched.setattr(_Errors, "take", quiet),
        monkeypatch=monkeypatch,
        settings=users(),
        user="us:right",
    )


async def _too_large(one: Life) -> Sequence[str]:
    """One book is larger than the server takes; readers of its market are told, and raw has it."""
    await one.step()
    one.record(snapshot("B", 1, sid=7, yes=[[f"0.{price:04d}", "1.00"] for price in range(1, 1_000)]))
    n = one.log.last_n
    one.record(snapshot("B", 2, sid=7, yes=[["0.0100", "1.00"]]))
    await one.settle()
    notices = [event for event in await one.events() if isinstance(event, GapNotice) and event.number == n]
    told = [(notice.cause, notice.tickers) for notice in notices]
    return [] if told == 2 * [("oversize_event", ("B",))] else [f"readers are told {told}"]


@fault("C14")
def test_an_event_that_is_larger_than_the_server_takes_is_told_and_kept_in_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leave_out(self: Publisher, event: MarketEvent, size: int, **_: Any) -> None:
        """What cannot be sent cannot be sent."""

    proven(
        tmp_path,
        _too_large,
        metric='ssmd_connector_errors_total{error_type="publish",feed="any"}',
        off=lambda patched: patched.setattr(Publisher, "_too_large", leave_out),
        monkeypatch=monkeypatch,
        settings="max_payload: 8192\n",
    )
