"""Run everything on this machine: servers, exchange, connector, shipper, web, tasks; Ctrl-C stops it all in order."""

from argparse import ArgumentParser, ArgumentTypeError, _SubParsersAction
from pathlib import Path
from typing import Any, TextIO

from registry.refusal import require
from ssmd.cli.exchange import numbers_right, replay_given
from ssmd.runtime.checks import ledger_possible, recordings_readable
from ssmd.runtime.programs import ExchangeOptions
from ssmd.runtime.stack import UpOptions
from ssmd.runtime.up import up

WEB_PORT = 8000
EXCHANGE_PORT = 8010


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd up`."""
    parser = groups.add_parser("up", help="Run everything on this machine", description=__doc__)
    parser.add_argument("--env", default="demo", metavar="NAME", help="environment to run (default: demo)")
    parser.add_argument(
        "--web-port",
        type=_port,
        default=WEB_PORT,
        metavar="PORT",
        help=f"admin, REST, stream (default: {WEB_PORT})",
    )
    parser.add_argument(
        "--exchange-port",
        type=_port,
        default=EXCHANGE_PORT,
        metavar="PORT",
        help=f"the simulated exchange (default: {EXCHANGE_PORT})",
    )
    _add_exchange(parser)
    parser.set_defaults(run=run_up)


def _add_exchange(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the simulated exchange", "handed on to `ssmd exchange start`")
    group.add_argument(
        "--replay",
        type=Path,
        action="append",
        nargs="+",
        default=[],
        metavar="PATH",
        help="recordings to play",
    )
    group.add_argument("--speed", type=float, metavar="X", help="of the replay; 0: as fast as it is read")
    group.add_argument("--once", action="store_true", help="end the exchange after the replay")
    group.add_argument(
        "--original-times", action="store_true", help="leave the times of the replay as recorded"
    )
    group.add_argument(
        "--ledger", type=Path, metavar="FILE", help="write every frame sent, one JSON line each"
    )
    group.add_argument("--markets", type=int, metavar="N", help="markets open at a time (default: 6)")
    group.add_argument(
        "--rate", type=float, metavar="R", help="frames a second, all markets together (default: 50)"
    )
    group.add_argument("--seed", type=int, metavar="S", help="of the order flow")


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a port: a number from 1 to 65535")


def run_up(
    *,
    env: str,
    web_port: int,
    exchange_port: int,
    replay: list[list[Path]],
    speed: float | None,
    once: bool,
    original_times: bool,
    ledger: Path | None,
    markets: int | None,
    rate: float | None,
    seed: int | None,
    stdout: TextIO,
    stderr: TextIO,
) -> None:
    """Start, run until asked to stop, stop."""
    numbers = numbers_right(exchange_port, markets, 1 if rate is None else rate, speed or 0, skew=1)
    paths = [path.absolute() for given in replay for path in given]
    require(numbers, replay_given(paths, once=once), recordings_readable(paths), ledger_possible(ledger))
    exchange = ExchangeOptions(
        port=exchange_port,
        # The programs run elsewhere: paths are taken from where the command was typed.
        replay=tuple(paths),
        speed=speed,
        ledger=ledger.absolute() if ledger else None,
        markets=markets,
        rate=rate,
        seed=seed,
        once=once,
        original_times=original_times,
    )
    up(UpOptions(env, web_port, exchange), stdout=stdout, stderr=stderr)
