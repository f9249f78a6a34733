"""A1, A2, A4 to A7, A22 to A24, A38, A39: connections that die, in every way, and frames that may kill them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streaming.kalshi import back_off
from streaming.kalshi import socket as kalshi_socket
from streaming.kalshi.back_off import BackOff
from streaming.kalshi.line import Line
from streaming.kalshi.socket import KalshiSocket, _Tapped
from tests.faults.a_exchange import GAPS, RECONNECTS, Life, errors, prove_by_living, received
from tests.faults.a_hurry import hurry
from tests.faults.a_ledger import unplanned
from tests.faults.capture_rig import SHIPPED, Rig
from tests.faults.proof import fault


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


async def never(socket: KalshiSocket) -> None:
    await asyncio.sleep(3600)


async def by_a_ping(socket: KalshiSocket) -> None:
    """A watchdog that stands in the queue behind what cannot be sent."""
    while True:
        pong = await socket._connection.ping()
        await pong
        await asyncio.sleep(0.1)


@fault("A1")
def test_a_half_open_connection_is_noticed_and_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        life.fault(do="half_open")
        await life.over()

    def off() -> None:
        monkeypatch.setattr(KalshiSocket, "_watch", never)

    prove_by_living(tmp_path, act, off, gaps=("connection_lost",), metric=errors("watchdog"))


@fault("A2")
def test_a_full_send_buffer_does_not_keep_the_silence_from_being_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        connection = life.line._socket._connection
        life.fault(do="half_open")
        sending = asyncio.create_task(connection.send("x" * 30_000_000))
        await asyncio.sleep(0.05)
        life.claim(not sending.done(), "the send buffer is not full")
        await life.over()
        connection.transport.abort()  # where it was not noticed
        await asyncio.gather(sending, return_exceptions=True)

    def off() -> None:
        monkeypatch.setattr(KalshiSocket, "_watch", by_a_ping)

    prove_by_living(tmp_path, act, off, gaps=("connection_lost",), metric=errors("watchdog"))


@fault("A39")
def test_bytes_that_trickle_are_no_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        life.exchange.fault(do="stop_reading", connection=1)  # a pong would come between the drops
        life.fault(do="drip", bytes_per_second=100, connection=1)
        await life.over()

    def off() -> None:
        """Every byte counts as a sign of life."""
        received = _Tapped.data_received

        def touched(connection: _Tapped, data: bytes) -> None:
            connection.active_at += 3600
            received(connection, data)

        monkeypatch.setattr(_Tapped, "data_received", touched)

    prove_by_living(tmp_path, act, off, gaps=("connection_lost",), metric=errors("watchdog"))


def no_loss(line: Line, *facts: Any, **more: Any) -> None:
    """As if an end were nothing."""


CODES = (1000, 1001, 1006, 1008, 1009, 1011, 1012, 1013, 3000, 4999)


@fault("A4")
def test_whatever_code_it_closes_with_is_a_gap_that_names_code_and_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back_off, "LONGEST_SECONDS", 0.02)

    async def act(life: Life) -> None:
        for number, code in enumerate(CODES, 1):
            await life.ready()
            life.fault(do="close", code=code, reason=f"number {number}")
            await life.over(number)

    def judge(rig: Rig) -> list[str]:
        told = [(loss.gap.detail["code"], loss.gap.detail["reason"]) for loss in unplanned(rig.archive())]
        said = [(code, "" if code == 1006 else f"number {n}") for n, code in enumerate(CODES, 1)]
        return [] if told == said else [f"told {told}"]

    def off() -> None:
        monkeypatch.setattr(Line, "_lost", no_loss)
        monkeypatch.setattr("tests.faults.a_exchange.UNHANDLED_SECONDS", 0.05)

    gaps = ("connection_lost",) * len(CODES)
    prove_by_living(tmp_path, act, off, gaps=gaps, metric=RECONNECTS, at_least=len(CODES), judge=judge)


CUTS = (0, 1, 3, 60, 199)


@fault("A5")
def test_a_frame_that_breaks_off_is_not_recorded_and_the_gap_begins_at_the_last_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back_off, "LONGEST_SECONDS", 0.02)

    async def act(life: Life) -> None:
        for number, size in enumerate(CUTS, 1):
            await life.ready()
            life.fault(do="cut_frame", bytes=size)
            await life.over(number)

    def off() -> None:
        """What came of a frame is taken for one."""
        lost = _Tapped.connection_lost

        def with_the_rest(connection: _Tapped, error: Exception | None) -> None:
            buffer = connection.protocol.reader.buffer
            connection._on_frame(1, bytes(buffer[4:]) or b"{", connection._clock())
            lost(connection, error)

        monkeypatch.setattr(_Tapped, "connection_lost", with_the_rest)

    prove_by_living(
        tmp_path, act, off, gaps=("connection_lost",) * len(CUTS), metric=RECONNECTS, at_least=len(CUTS)
    )


ENOUGH_ATTEMPTS = 8
GROWN_SECONDS = 0.15


@fault("A6")
def test_an_exchange_that_refuses_is_asked_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        tried = life.count_of(errors("connect"))
        refusing = life.fault(do="refuse_connection")
        await asyncio.sleep(0.05)
        life.fault(do="reset")
        await life.until(lambda: life.count_of(errors("connect")) - tried >= ENOUGH_ATTEMPTS)
        life.claim(life.line._back_off._ceiling > GROWN_SECONDS, "it does not wait longer and longer")
        life.clear(refusing)
        await life.over()

    def off() -> None:
        monkeypatch.setattr(BackOff, "next_wait", lambda back_off: 0.01)

    prove_by_living(
        tmp_path, act, off, gaps=("connection_lost",), metric=errors("connect"), at_least=ENOUGH_ATTEMPTS
    )


@fault("A7")
def test_connections_that_die_young_do_not_shorten_the_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        flapping = life.fault(do="close", code=1001, open_for=0.01, count=100)
        before = life.count_of(RECONNECTS)
        await life.until(lambda: life.count_of(RECONNECTS) - before >= ENOUGH_ATTEMPTS)
        life.claim(life.line._back_off._ceiling > GROWN_SECONDS, "it does not wait longer and longer")
        life.clear(flapping)
        await life.over()

    def off() -> None:
        monkeypatch.setattr(back_off, "HEALTHY_AFTER_SECONDS", 0)

    prove_by_living(
        tmp_path, act, off, gaps=("connection_lost",), metric=RECONNECTS, at_least=ENOUGH_ATTEMPTS,
        is_distinct=True, is_timed=False,
    )  # fmt: skip


# -- large frames ------------------------------------------------------------------------------------


@fault("A22")
def test_a_frame_of_up_to_eight_mebibytes_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        for mebibytes in (1, 2, 8):
            await life.struck(do="pad_frame", bytes=mebibytes * 2**20, channel="trade")

    def off() -> None:
        monkeypatch.setattr(kalshi_socket, "MAX_FRAME_BYTES", 2**20)  # the library's default

    prove_by_living(tmp_path, act, off, gaps=(), metric=received("trade"), at_least=3)


@pytest.mark.slow
@fault("A23")
@pytest.mark.parametrize(
    "order", [{"do": "pad_frame", "bytes": 17 * 2**20}, {"do": "endless_frame"}], ids=str
)
def test_a_frame_beyond_the_limit_ends_the_connection_and_is_told(
    order: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        life.fault(**order)
        await life.over()

    def off() -> None:
        monkeypatch.setattr(kalshi_socket, "MAX_FRAME_BYTES", None)

    prove_by_living(tmp_path, act, off, gaps=("oversize_frame",), metric=GAPS)


@fault("A24")
def test_a_deflate_bomb_is_not_blown_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        life.fault(do="deflate_bomb", bytes=200 * 2**20)
        await life.over()

    def off() -> None:
        connect: Any = kalshi_socket._Connect

        def trusting(url: str, **options: Any) -> Any:
            return connect(url, **{**options, "compression": "deflate", "max_size": 2**20})

        monkeypatch.setattr(kalshi_socket, "_Connect", trusting)

    prove_by_living(tmp_path, act, off, gaps=("connection_lost",), metric=GAPS)


# -- the end -----------------------------------------------------------------------------------------


@fault("A38")
def test_what_comes_while_we_say_goodbye_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        life.exchange.fault(do="burst", frames=2000)
        life.session.stop.set()
        await asyncio.wait({life.session.running}, timeout=life.patience)

    async def rudely(socket: KalshiSocket) -> None:
        socket.abort()

    def off() -> None:
        monkeypatch.setattr(KalshiSocket, "close", rudely)

    prove_by_living(tmp_path, act, off, gaps=(), metric=SHIPPED, at_least=2000)
