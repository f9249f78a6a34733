from pathlib import Path

from ssmd.runtime import programs
from ssmd.runtime.programs import START_ORDER, STOP_ORDER, ExchangeOptions, Program


def test_only_what_was_asked_for_is_handed_to_the_exchange() -> None:
    assert ExchangeOptions(port=8010).words() == ["--port", "8010"]


def test_every_option_reaches_the_exchange() -> None:
    options = ExchangeOptions(
        port=1, replay=(Path("/a b"), Path("/c")), speed=0.0, ledger=Path("/l"), markets=3, rate=2.5, seed=7,
        once=True, original_times=True,
    )  # fmt: skip

    assert options.words() == [
        "--port", "1", "--speed", "0", "--ledger", "/l", "--markets", "3", "--rate", "2.5", "--seed", "7",
        "--replay", "/a b", "/c", "--once", "--original-times",
    ]  # fmt: skip


def test_the_exchange_may_end_only_after_a_recording_played_once() -> None:
    for once in (True, False):
        program = programs.exchange(ExchangeOptions(1, once=once), key_id="k", public_key=Path("/p"))
        assert program.ends_by_itself is once


def test_every_program_has_its_place_in_both_orders() -> None:
    assert sorted(START_ORDER) == sorted(name for step in STOP_ORDER for name in step)


def test_frames_stop_before_their_readers_and_the_servers_stop_last() -> None:
    order = ("exchange", "connector", "shipper", "web", "valkey", "nats")
    steps = [Program(name, ("true",)).stop_step for name in order]
    assert steps == sorted(steps)
    assert len(set(steps)) == len(steps)


def test_the_command_line_is_that_of_this_installation() -> None:
    assert Path(programs.ssmd("doctor")[1]).is_file()
