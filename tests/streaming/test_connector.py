import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from registry.refusal import Refused
from streaming import dead_session, marks
from streaming.capture_log import CaptureLog, CaptureLogReader
from streaming.connector import Connector, new_session
from streaming.connector_config import ConnectorConfig
from streaming.old_sessions import end_old_sessions
from streaming.records import Kind
from streaming.transport import StreamSpec
from tests.running import free_port
from tests.streaming.kalshi.frames import trade
from tests.streaming.kalshi.venue import refusal, until, venue


def config(tmp_path: Path, endpoint: str, nats_url: str) -> ConnectorConfig:
    feed = f"feed-{abs(hash(str(tmp_path))) % 10**9}"
    capture = tmp_path / "demo"
    capture.mkdir(exist_ok=True)
    return ConnectorConfig(
        feed=feed, feed_version="v2", environment="demo", environment_version=1, config_hash="h",
        endpoint=endpoint, rest_endpoint="http://127.0.0.1:1/trade-api/v2", credentials=None, nats_url=nats_url,
        stream=StreamSpec(f"ssmd-{feed}", feed, max_bytes=64 * 1024**2), capture=capture, code_version="0",
    )  # fmt: skip


def marks_of(folder: Path) -> list[marks.Mark]:
    records = CaptureLogReader(folder).read()
    return [marks.decode(record.payload) for record in records if record.kind == Kind.MARK]


async def script(connection: ServerConnection) -> None:
    await connection.send(trade("A", 1).decode())
    await connection.wait_closed()


async def recorded(one: Connector, *, frames: int = 1) -> None:
    """Run until a frame is recorded, then stop."""
    stop = asyncio.Event()
    running = asyncio.create_task(one.run(stop))
    await until(lambda: hasattr(one, "_capture") and one._capture.frames >= frames)
    stop.set()
    await running


async def test_a_session_begins_and_ends_with_its_marks(nats_server: str, tmp_path: Path) -> None:
    async with venue(script) as url:
        one = Connector(config(tmp_path, url, nats_server))
        await recorded(one)

    first, *_, teardown, last = marks_of(one.folder)
    assert isinstance(first, marks.SessionStart)
    assert isinstance(teardown, marks.GapOpen)
    assert (teardown.cause, teardown.planned) == ("planned_teardown", True)
    assert last == marks.SessionEnd("stopped")


async def test_after_the_end_mark_what_went_unpublished_is_left_to_the_next_session(tmp_path: Path) -> None:
    one = Connector(config(tmp_path, "ws://127.0.0.1:1/", "nats://127.0.0.1:1"))
    one._log = one._open_log()
    publisher = one._publisher([])
    one._trimmed(1, 5)
    assert (one._log.last_n, publisher.losses.first_unmarked_n) == (
        2,
        None,
    )  # a mark opens it, another closes it

    one._log.mark(marks.SessionEnd("stopped"))
    one._has_ended = True
    one._trimmed(8, 20)

    assert one._mark(marks.Tick(0)) is None
    assert (one._log.last_n, publisher.losses.first_unmarked_n) == (3, 8)
    one._log.close()
    assert dead_session.has_ended(one.folder)


@pytest.mark.slow
async def test_without_a_bus_a_stop_comes_in_time_and_the_next_session_tells(tmp_path: Path) -> None:
    async with venue(script) as url:
        one = Connector(config(tmp_path, url, f"nats://127.0.0.1:{free_port()}"))
        async with asyncio.timeout(12):
            await recorded(one)

    notice = dead_session.unannounced(one.folder)
    assert notice is not None
    assert notice.cause == "stream_hole"
    assert notice.unpublished is not None
    assert notice.unpublished[0] == 1


async def test_a_refused_key_is_a_gap_and_an_orderly_end(nats_server: str, tmp_path: Path) -> None:
    async with venue(answer=refusal(401, b"{}")) as url:
        one = Connector(config(tmp_path, url, nats_server))
        with pytest.raises(ExceptionGroup) as failed:
            await one.run(asyncio.Event())

    assert failed.group_contains(Refused)
    *_, gap, last = marks_of(one.folder)
    assert isinstance(gap, marks.GapOpen)
    assert (gap.cause, last) == ("auth_failed", marks.SessionEnd("refused"))


async def test_a_failed_session_has_no_end_mark_so_that_its_loss_is_told(
    nats_server: str, tmp_path: Path
) -> None:
    async with venue(script) as url:
        one = Connector(config(tmp_path, url, nats_server))
        running = asyncio.create_task(one.run(asyncio.Event()))
        await until(lambda: hasattr(one, "_capture") and one._capture.frames > 0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert not dead_session.has_ended(one.folder)
    assert dead_session.end_dead_session(one.folder)
    assert [mark.cause for mark in marks_of(one.folder) if isinstance(mark, marks.GapOpen)] == [
        "process_crash"
    ]


async def test_an_unreadable_old_session_does_not_stop_a_new_one(nats_server: str, tmp_path: Path) -> None:
    old = tmp_path / "demo" / "old"
    CaptureLog(old, environment="demo", session="old").close()
    next(old.glob("*.log")).write_bytes(b"garbage that is no log at all" * 10)
    async with venue(script) as url:
        one = Connector(config(tmp_path, url, nats_server))

        await recorded(one)

    assert dead_session.has_ended(one.folder)


async def test_a_crash_that_the_shipper_is_ending_right_now_is_still_told(tmp_path: Path) -> None:
    dead = CaptureLog(tmp_path / "demo" / "dead", environment="demo", session="dead")
    dead.append(b"last", kind=Kind.TEXT, connection=1)  # held open, as by a shipper that ends it
    looking = asyncio.create_task(end_old_sessions(tmp_path / "demo", "demo"))
    await asyncio.sleep(0.25)
    assert not looking.done()
    dead.close()

    [notice] = await looking
    assert (notice.cause, notice.session) == ("process_crash", "dead")


def test_a_session_is_named_by_feed_and_start() -> None:
    name = new_session("kalshi", datetime(2025, 12, 14, 0, 10, tzinfo=UTC))

    assert name.startswith("kalshi-20251214T001000Z-")
    assert len(name) == len("kalshi-20251214T001000Z-3f9a1c")
