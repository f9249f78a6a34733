import asyncio
import json
import signal
import subprocess
import sys
import textwrap

import pytest

from registry.refusal import Refused
from streaming.lifetime import comes_within, run_until_stopped

CHILD = """
import asyncio, sys
from registry.refusal import ExitCode, Reason, Refused
from streaming.lifetime import run
import structlog, logging

async def waits(stop):
    structlog.get_logger().info("ready", symbols=42)
    logging.getLogger("library").warning("heard %s", "too")
    await stop.wait()
    structlog.get_logger().info("stopping")

async def hangs(stop):
    structlog.get_logger().info("ready")
    await stop.wait()
    structlog.get_logger().info("stopping")
    await asyncio.sleep(60)

async def fails(stop):
    raise ValueError("no such thing")

async def refuses(stop):
    raise Refused([Reason("taken")], exit_code=ExitCode.CONFLICT)

try:
    run("tester", {jobs})
except Refused as refused:
    sys.exit(refused.exit_code)
"""


def start(jobs: str) -> "subprocess.Popen[str]":
    code = textwrap.dedent(CHILD.replace("{jobs}", jobs))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def read_until(child: "subprocess.Popen[str]", msg: str) -> dict[str, object]:
    assert child.stdout is not None
    for line in child.stdout:
        event: dict[str, object] = json.loads(line)
        if event["msg"] == msg:
            return event
    raise AssertionError(f"{msg} was never logged")


async def test_the_first_failure_cancels_the_other_jobs() -> None:
    cancelled = asyncio.Event()

    async def waits(stop: asyncio.Event) -> None:
        try:
            await stop.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def fails(stop: asyncio.Event) -> None:
        raise ValueError("no")

    with pytest.raises(ExceptionGroup) as caught:
        await run_until_stopped(waits, fails)

    assert caught.group_contains(ValueError)
    assert cancelled.is_set()


async def test_a_job_that_returns_asks_the_others_to_end() -> None:
    async def returns(stop: asyncio.Event) -> None:
        return

    async def waits(stop: asyncio.Event) -> None:
        await stop.wait()

    await asyncio.wait_for(run_until_stopped(waits, returns), 5)


async def test_a_wait_ends_with_its_event_or_its_time() -> None:
    stop = asyncio.Event()
    stop.set()

    assert await comes_within(stop, 60)
    assert not await comes_within(asyncio.Event(), 0.001)


async def test_a_wait_whose_event_comes_with_its_cancellation_is_cancelled() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(comes_within(event, 60))
    await asyncio.sleep(0)

    event.set()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_every_job_come_to_its_end_with_exit_code_0(number: signal.Signals) -> None:
    child = start("waits, waits")
    read_until(child, "ready")

    child.send_signal(number)

    assert read_until(child, "stopping")
    assert child.wait(10) == 0


def test_a_second_signal_ends_a_process_that_hangs() -> None:
    child = start("hangs")
    read_until(child, "ready")
    child.terminate()
    read_until(child, "stopping")

    while child.poll() is None:
        child.terminate()
        try:
            child.wait(0.2)
        except subprocess.TimeoutExpired:
            continue

    assert child.returncode == 128 + signal.SIGTERM


def test_a_failed_job_ends_the_process_with_exit_code_1_and_a_logged_error() -> None:
    child = start("waits, fails")

    event = read_until(child, "ended by a failure")

    assert event["level"] == "error"
    assert "no such thing" in str(event["exception"])
    assert child.wait(10) == 1


def test_a_refusal_inside_a_job_keeps_its_exit_code() -> None:
    assert start("waits, refuses").wait(10) == 5
    assert Refused([]).exit_code == 3


def test_a_log_line_is_one_json_object_with_level_ts_component_and_msg_first() -> None:
    child = start("waits")
    event = read_until(child, "ready")
    foreign = read_until(child, "heard too")
    child.terminate()
    child.wait(10)

    assert list(event)[:4] == ["level", "ts", "component", "msg"]
    assert (event["level"], event["component"], event["symbols"]) == ("info", "tester", 42)
    assert str(event["ts"]).endswith("Z")
    assert (foreign["level"], foreign["component"]) == ("warning", "tester")
