"""Faults are ordered while the exchange runs: over the control endpoint, by the command, by a script."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ssmd.cli.main import run
from streaming.kalshi.simulator.mischief.catalogue import CATALOGUE
from streaming.kalshi.simulator.mischief.script import parse_script
from tests.streaming.kalshi.simulator.conftest import Serving
from tests.streaming.kalshi.simulator.test_server import HEADERS, dial, subscribe


async def test_one_order_a_message_in_and_one_answer_out(serving: Serving) -> None:
    async with serving() as service, connect(f"ws://127.0.0.1:{service.port}/sim/control") as door:
        answers: list[dict[str, Any]] = []
        for order in (
            '{"do":"silence","channel":"trade"}',
            '{"do":"half_open","after":1000}',
            '{"do":"list"}',
            '{"do":"silense"}',
            "not json",
            '{"do":"clear","id":9}',
            '{"do":"clear","id":1}',
            '{"do":"clear"}',
            '{"do":"list"}',
        ):
            await door.send(order)
            answers.append(json.loads(await door.recv()))

    silence, half_open, listed, unknown, broken, missing, cleared, rest, none = answers
    assert (silence, half_open) == ({"ok": True, "id": 1}, {"ok": True, "id": 2})
    assert [(one["id"], one["state"]) for one in listed["faults"]] == [(2, "waiting"), (1, "on")]
    assert not unknown["ok"] and "silence" in unknown["reasons"][0]["remedy"]
    assert not broken["ok"] and not missing["ok"]
    assert (cleared["cleared"], rest["cleared"], none["faults"]) == ([1], [2], [])


async def test_no_web_page_may_order_faults(serving: Serving) -> None:
    async with serving() as service:
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"ws://127.0.0.1:{service.port}/sim/control", origin="http://evil.example")  # type: ignore[arg-type]


async def test_orders_are_no_connection_of_the_ledger(serving: Serving, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    async with serving(ledger=ledger) as service:
        async with connect(f"ws://127.0.0.1:{service.port}/sim/control") as door:
            await door.send('{"do":"list"}')
            await door.recv()
        async with dial(service) as client:
            await subscribe(client, "fill")
            await client.recv()

    assert {json.loads(line)["conn"] for line in ledger.read_text().splitlines()} == {1}


def test_a_script_orders_faults_on_the_loop_that_the_process_runs_on(
    serving: Serving, tmp_path: Path
) -> None:
    script = tmp_path / "faults.yaml"
    script.write_text("- {do: cut_frame, bytes: 5, at_frame: 3}\n")
    faults = tuple(parse_script(script.read_text()))

    async def cut() -> None:
        async with serving(faults=faults) as service:
            await until_cut(service.port)

    uvloop.run(cut())


async def test_the_command_orders_faults_while_it_runs(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving() as service, dial(service) as client:
        port = str(service.port)
        codes = [
            await asyncio.to_thread(run, ["exchange", "fault", order, "--port", port])
            for order in ('{"do":"close","code":1013}', '{"do":"skip_sek"}')
        ]
        with pytest.raises(ConnectionClosed):
            await client.recv()
    told = capsys.readouterr()

    assert client.close_code == 1013
    assert codes == [0, 3]
    assert '{"id": 1}' in told.out
    assert "Did you mean 'skip_seq'?" in told.err


async def until_cut(port: int) -> None:
    """Two frames come whole, the third does not, and the connection ends by a reset."""
    url = f"ws://127.0.0.1:{port}/trade-api/ws/v2"
    async with connect(url, additional_headers=HEADERS, compression=None) as client:
        await subscribe(client, "trade", "ticker")
        frames = []
        with pytest.raises(ConnectionClosed) as ended:
            while True:
                frames.append(await client.recv())

    assert len(frames) == 2
    assert isinstance(ended.value.__cause__, ConnectionResetError)


def test_a_script_that_is_wrong_keeps_the_exchange_from_starting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "faults.yaml"
    script.write_text("- {do: silense}\n- {do: burst}\n")

    assert run(["exchange", "start", "--port", "0", "--faults", str(script)]) == 3
    assert "Did you mean 'silence'?" in capsys.readouterr().err
    assert run(["exchange", "start", "--port", "0", "--faults", str(tmp_path / "none.yaml")]) == 3


def test_no_exchange_no_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exchange", "fault", '{"do":"list"}', "--port", "1"]) == 6
    assert "No simulated exchange answers" in capsys.readouterr().err


def test_the_catalogue_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exchange", "faults", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["data"]

    assert [row["name"] for row in rows] == list(CATALOGUE)
    assert all(row["what"] and row["faults"] for row in rows)
