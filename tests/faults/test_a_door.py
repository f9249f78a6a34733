"""A8 to A13, A40: an exchange that does not let us in."""

import asyncio
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from registry.refusal import Refused
from streaming import marks, metrics
from streaming.kalshi import handshake
from streaming.kalshi import line as kalshi_line
from streaming.kalshi import session as conversation
from streaming.kalshi import socket as kalshi_socket
from streaming.kalshi.keyring import Keyring
from streaming.records import Kind
from tests.faults.a_exchange import KEY, RECONNECTS, Key, Life, errors, prove_by_living, received
from tests.faults.a_hurry import hurry
from tests.faults.capture_rig import Rig
from tests.faults.proof import fault
from tests.faults.recorder import FEED
from tests.streaming.kalshi.simulator.mischief.test_hostile import certificate

SKEW = f'ssmd_connector_clock_skew_seconds{{feed="{FEED}"}}'
S = 1_000_000_000


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def refusal_of(life: Life) -> str:
    """What the connector's end told the operator; nothing where it goes on."""
    error = life.session.running.exception() if life.session.running.done() else None
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, Refused) else ""


@fault("A8")
@pytest.mark.parametrize("why", ["bad_signature", "expired"])
def test_a_key_that_is_refused_at_the_start_ends_the_connector(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.until(life.session.running.done)
        life.claim("401" in refusal_of(life), "the operator is not told")

    def off() -> None:
        monkeypatch.setattr(handshake, "cause_of", lambda error: "connection_lost")

    orders = [{"do": "refuse_handshake", "status": 401, "why": why}]
    prove_by_living(
        tmp_path, act, off, gaps=("auth_failed",), metric=errors("auth"), orders=orders, is_timed=False
    )


@fault("A8")
@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_later_is_a_gap_of_its_own_and_is_tried_again(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        life.exchange.fault(do="refuse_handshake", status=status, count=2)
        life.fault(do="reset")
        await life.over(2)

    def off() -> None:
        monkeypatch.setattr(handshake, "cause_of", lambda error: "connection_lost")

    prove_by_living(
        tmp_path, act, off, gaps=("connection_lost", "auth_failed"), metric=errors("auth"), at_least=2
    )


@fault("A9")
def test_a_key_that_was_exchanged_is_used_from_the_next_connection_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Key("second")
    here = {"key": KEY}

    async def act(life: Life) -> None:
        await life.ready()
        life.exchange.fault(do="change_key", key_id=second.name, public_key=second.public)
        here["key"] = second
        life.fault(do="reset")
        await life.over()

    def off() -> None:
        here["key"] = KEY
        monkeypatch.setattr(Keyring, "current", lambda keyring: KEY.credentials)

    config = {"read_key": lambda: here["key"].credentials}
    prove_by_living(tmp_path, act, off, gaps=("connection_lost",), metric=RECONNECTS, config=config)


@fault("A10")
@pytest.mark.parametrize("seconds", [1, None])
def test_a_rate_limit_is_a_gap_and_the_wait_that_it_asks_for_is_kept(
    seconds: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {} if seconds is None else {"retry_after": seconds}

    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        life.exchange.fault(do="refuse_handshake", status=429, count=1, **asked)
        life.fault(do="reset")
        await life.over(2)

    def judge(rig: Rig) -> list[str]:
        [session] = rig.archive()
        told = [(one.received_ns, marks.decode(one.payload)) for one in session.records if one.kind == Kind.MARK]  # fmt: skip
        refused = [at for at, mark in told if isinstance(mark, marks.GapOpen) and mark.cause == "rate_limited"]  # fmt: skip
        opened = [at for at, mark in told if isinstance(mark, marks.ConnectionOpen)]
        is_kept = bool(refused) and opened[-1] - refused[0] >= (seconds or 0) * S
        return [] if is_kept else ["it came back too early"]

    def off() -> None:
        if seconds is None:
            monkeypatch.setattr(handshake, "cause_of", lambda error: "connection_lost")
        else:
            monkeypatch.setattr(handshake, "retry_after", lambda error: 0.0)

    gaps = ("connection_lost", "rate_limited")
    prove_by_living(tmp_path, act, off, gaps=gaps, metric=errors("connect"), judge=judge)


@fault("A10")
def test_a_command_that_meets_the_rate_limit_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        life.claim(life.session.capture.is_ready, "it never became ready")

    def off() -> None:
        monkeypatch.setattr(conversation, "LATER", ())

    orders = [{"do": "refuse_commands", "code": 27, "cmd": "subscribe", "count": 2}]
    prove_by_living(tmp_path, act, off, gaps=(), metric=received("control"), at_least=6, orders=orders)


@fault("A11")
@pytest.mark.parametrize(("status", "size"), [(503, 1_000_000), (502, 3_000_000)])
def test_a_page_of_html_instead_of_a_connection_passes_and_is_not_logged_in_full(
    status: int,
    size: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        life.exchange.fault(do="refuse_handshake", status=status, bytes=size, count=2)
        life.fault(do="reset")
        await life.over()
        longest = max(map(len, capsys.readouterr().out.splitlines()), default=0)
        life.claim(longest < 2000, "the page is in the log")

    def judge(rig: Rig) -> list[str]:
        told = [len(one.payload) for one in rig.archive()[0].records if one.kind == Kind.MARK]
        return [] if max(told) < 2000 else ["the page is in the capture log"]

    def off() -> None:
        """What a proxy says ends the connector."""
        monkeypatch.setattr(kalshi_line, "WebSocketException", KeyError)
        monkeypatch.setattr(kalshi_line, "OSError", KeyError, raising=False)

    prove_by_living(
        tmp_path, act, off, gaps=("connection_lost",), metric=errors("connect"), at_least=2, judge=judge
    )


@fault("A12")
@pytest.mark.parametrize("host", ["no-such-host.invalid", "127.0.0.1:1"])
def test_a_host_that_is_not_there_is_tried_again(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        before = life.count_of(errors("connect"))
        await life.until(lambda: life.count_of(errors("connect")) - before >= 3)
        life.claim(not life.session.running.done(), "it gave up")

    def off() -> None:
        monkeypatch.setattr(kalshi_line, "OSError", KeyError, raising=False)

    config = {"endpoint": f"ws://{host}/trade-api/ws/v2"}
    prove_by_living(
        tmp_path, act, off, gaps=("connection_lost",), metric=errors("connect"), at_least=3, config=config, is_timed=False
    )  # fmt: skip


@fault("A12")
def test_a_certificate_that_nobody_vouches_for_is_not_talked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = certificate(tmp_path)

    async def act(life: Life) -> None:
        before = life.count_of(errors("connect"))
        await life.until(lambda: life.count_of(errors("connect")) - before >= 2)

    def judge(rig: Rig) -> list[str]:
        return [f"{len(rig.sent())} frames were let in"] if rig.sent() else []

    def off() -> None:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        real: Any = kalshi_socket._Connect
        monkeypatch.setattr(
            kalshi_socket, "_Connect", lambda url, **options: real(url, ssl=trusting, **options)
        )

    prove_by_living(
        tmp_path, act, off, gaps=("connection_lost",), metric=errors("connect"), at_least=2, is_timed=False,
        exchange={"tls": server}, config={"scheme": "wss"}, judge=judge,
    )  # fmt: skip


@fault("A13")
@pytest.mark.parametrize("offset", [-60, 60])
def test_a_clock_that_is_wrong_is_told_and_does_not_loop(
    offset: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.until(life.session.running.done)
        told = re.search(r"this clock is ([+-][0-9.]+) s", refusal_of(life))
        is_told = told is not None and abs(float(told[1]) + offset) < 2
        life.claim(is_told, "the operator is not told how far the clock is off")

    def off() -> None:
        metrics.CONNECTOR_CLOCK_SKEW.labels(FEED).set(-100)
        monkeypatch.setattr(handshake, "skew_of", lambda headers, now_s: None)

    metrics.CONNECTOR_CLOCK_SKEW.labels(FEED).set(-100)
    prove_by_living(
        tmp_path, act, off, gaps=("auth_failed",), metric=SKEW, at_least=100 - offset - 3, is_timed=False,
        orders=[{"do": "wrong_clock", "offset": offset}],
    )  # fmt: skip


@fault("A40")
def test_a_redirect_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visits = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(await reader.readline())
        writer.close()

    async def act(life: Life) -> None:
        other = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
        port = other.sockets[0].getsockname()[1]
        await life.ready()
        order = {"do": "refuse_handshake", "status": 302, "count": 2}
        life.exchange.fault(**order, location=f"ws://127.0.0.1:{port}/trade-api/ws/v2")
        life.fault(do="reset")
        await life.over()
        life.claim(not visits, f"our signature went elsewhere: {visits}")
        other.close()

    def off() -> None:
        monkeypatch.setattr(kalshi_socket._Connect, "process_redirect", connect.process_redirect)

    prove_by_living(tmp_path, act, off, gaps=("connection_lost",), metric=errors("connect"), at_least=2)
