"""The simulated exchange: Kalshi's REST and WebSocket, lived by random orders or by recordings."""

import argparse
import json
import ssl
from pathlib import Path
from typing import Any, TextIO

from registry.refusal import Reason, Refused, require
from ssmd.cli.options import add_output
from ssmd.cli.table import render

# Neither the database nor Django is needed, so it starts at once.
NEEDS_DJANGO = False
DEFAULT_PORT = 8010


def add_parser(groups: Any) -> None:
    """Add `ssmd exchange start`, `fault` and `faults`."""
    actions = groups.add_parser("exchange", help=__doc__, description=__doc__).add_subparsers(
        metavar="VERB", required=True
    )
    _add_start(actions)
    fault = actions.add_parser("fault", help="Order a fault of an exchange that runs")
    fault.add_argument(
        "order",
        help="""like '{"do":"skip_seq","count":3}', '{"do":"list"}' or '{"do":"clear","id":1}'""",
    )
    fault.add_argument("--host", default="127.0.0.1", help="where it listens (default: 127.0.0.1)")
    fault.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"its port (default: {DEFAULT_PORT})")
    fault.set_defaults(run=order_fault)
    faults = actions.add_parser("faults", help="Every fault that the exchange knows, with its parameters")
    add_output(faults)
    faults.set_defaults(run=list_faults)


def _add_start(actions: Any) -> None:
    start = actions.add_parser(
        "start",
        help="Serve until stopped",
        description="Serve Kalshi's REST under /trade-api/v2 and its WebSocket at /trade-api/ws/v2 on one port.",
        epilog="Without --key-id and --public-key any key id is accepted whose three headers are present; "
        "with them every signature is verified, at most 15 s of clock difference (--skew) allowed.",
    )
    start.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    start.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"0 takes any free one (default: {DEFAULT_PORT})"
    )
    _add_life(start)
    _add_likeness(start)
    _add_replay(start)
    start.add_argument("--key-id", help="the only key id that is let in")
    start.add_argument("--public-key", type=Path, metavar="PEM-FILE", help="its public key, RSA or Ed25519")
    start.add_argument(
        "--skew", type=float, default=15.0, metavar="SECONDS", help="clock difference that passes"
    )
    start.add_argument(
        "--tls-certificate", type=Path, metavar="PEM-FILE", help="serve TLS with this certificate"
    )
    start.add_argument("--tls-key", type=Path, metavar="PEM-FILE", help="its private key")
    start.add_argument("--ledger", type=Path, metavar="FILE", help="append a line for every frame handed out")
    start.add_argument("--faults", type=Path, metavar="FILE", help="a fault script, in YAML or JSON")
    start.set_defaults(run=start_exchange)


def _add_life(start: argparse.ArgumentParser) -> None:
    start.add_argument("--seed", type=int, default=1, help="the same seed and clock give the same orders")
    start.add_argument(
        "--markets", type=int, metavar="N", help="random markets open at once (6; 0 with --replay)"
    )
    start.add_argument(
        "--rate", type=float, default=50.0, metavar="R", help="random frames a second (default: 50)"
    )


def _add_likeness(start: argparse.ArgumentParser) -> None:
    start.add_argument(
        "--combos", type=int, default=0, metavar="N", help="combo markets (KXMVE...) listed among the others"
    )
    start.add_argument(
        "--incidents", type=float, default=0.05, metavar="SHARE",
        help="share of random markets that close early, pause, settle late and the like (default: 0.05)",
    )  # fmt: skip
    start.add_argument(
        "--rest-tokens", type=float, default=12_000.0, metavar="R",
        help="tokens a second for each key; a request costs 10 (default: 12000; Kalshi's Basic: 200)",
    )  # fmt: skip


def _add_replay(start: argparse.ArgumentParser) -> None:
    start.add_argument(
        "--replay", type=Path, nargs="+", default=[], metavar="PATH", help="recordings or folders"
    )
    start.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="0 is as fast as the client reads"
    )
    start.add_argument("--once", action="store_true", help="end after the recording's last frame")
    start.add_argument("--original-times", action="store_true", help="leave the recorded times as they are")


def start_exchange(
    *,
    host: str,
    port: int,
    seed: int,
    markets: int | None,
    rate: float,
    replay: list[Path],
    speed: float,
    once: bool,
    original_times: bool,
    key_id: str | None,
    public_key: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    skew: float,
    ledger: Path | None,
    faults: Path | None,
    combos: int,
    incidents: float,
    rest_tokens: float,
    stderr: TextIO,
) -> None:
    """Check what was asked for, then serve."""
    require(
        numbers_right(port, markets, rate, speed, skew),
        likeness_right(combos, incidents, rest_tokens),
        replay_given(replay, once=once),
    )
    keys = _public_keys(key_id, public_key)
    script = _script(faults)
    tls = _tls(tls_certificate, tls_key)

    from streaming.kalshi.simulator.auth import Door
    from streaming.kalshi.simulator.options import Options
    from streaming.kalshi.simulator.server import run

    options = Options(
        host=host, port=port, seed=seed, markets=markets, rate=rate, replay=tuple(replay), speed=speed, once=once,
        original_times=original_times, ledger=ledger, door=Door(keys, skew_ms=round(skew * 1000)), faults=script,
        combos=combos, incidents=incidents, rest_tokens=rest_tokens, tls=tls,
    )  # fmt: skip
    run(options, stderr)


def order_fault(*, order: str, host: str, port: int, stdout: TextIO) -> None:
    """Send one order to the exchange that runs, and show its answer."""
    from streaming.kalshi.simulator.control import ask

    told = ask(host, port, order)
    stdout.write(json.dumps({name: value for name, value in told.items() if name != "ok"}) + "\n")


def list_faults(*, output: str, stdout: TextIO) -> None:
    """The catalogue."""
    from streaming.kalshi.simulator.mischief.catalogue import CATALOGUE, described

    rows = [described(kind) for kind in CATALOGUE.values()]
    stdout.write(render(rows, ("name", "faults", "what", "parameters"), as_=output))


def numbers_right(port: int, markets: int | None, rate: float, speed: float, skew: float) -> list[Reason]:
    """Whether each number is in its range."""
    checks = [
        (0 <= port <= 65_535, f"--port {port} is no port.", "Give 1 to 65535, or 0 for any free one."),
        (markets is None or 0 <= markets <= 5000, f"--markets {markets} is out of range.", "Give 0 to 5000."),
        (
            0 < rate <= 100_000,
            f"--rate {rate:g} is out of range.",
            "Give more than 0, at most 100000 a second.",
        ),
        (0 <= speed <= 100_000, f"--speed {speed:g} is out of range.", "Give 0 (as fast as read) to 100000."),
        (skew > 0, f"--skew {skew:g} lets nobody in.", "Give seconds above 0; Kalshi allows about 15."),
    ]
    return [Reason(problem, remedy) for is_right, problem, remedy in checks if not is_right]


def likeness_right(combos: int, incidents: float, rest_tokens: float) -> list[Reason]:
    """Whether what makes it lifelike is in its range."""
    checks = [
        (0 <= combos <= 200_000, f"--combos {combos} is out of range.", "Give 0 to 200000."),
        (0 <= incidents <= 1, f"--incidents {incidents:g} is no share.", "Give 0 to 1."),
        (rest_tokens >= 10, f"--rest-tokens {rest_tokens:g} answers nobody.", "Give at least 10 a second."),
    ]
    return [Reason(problem, remedy) for is_right, problem, remedy in checks if not is_right]


def replay_given(replay: list[Path], *, once: bool) -> list[Reason]:
    """Whether there is a recording where an option asks for one."""
    if once and not replay:
        return [
            Reason("--once ends after a recording, and there is none.", "Add --replay PATH, or leave --once.")
        ]
    return []


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, wanted = (
            ("--tls-key", "--tls-certificate") if certificate is None else ("--tls-certificate", "--tls-key")
        )
        reason = Reason(f"{given} is given without its pair.", f"Add {wanted} PEM-FILE, or give neither.")
        raise Refused([reason])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        remedy = "Name a certificate and its key, both in PEM."
        raise Refused([Reason(f"TLS cannot be served with '{certificate}': {error}.", remedy)]) from error
    return context


def _script(path: Path | None) -> tuple[Any, ...]:
    if path is None:
        return ()
    from streaming.kalshi.simulator.mischief.script import parse_script

    try:
        return tuple(parse_script(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        detail = error.strerror if isinstance(error, OSError) else error
        reason = Reason(
            f"The fault script '{path}' cannot be read: {detail}.", "Name a file in YAML or JSON."
        )
        raise Refused([reason]) from error


def _public_keys(key_id: str | None, path: Path | None) -> dict[str, str]:
    if key_id is None and path is None:
        return {}
    if key_id is None or path is None:
        given, wanted = (
            ("--key-id", "--public-key PEM-FILE") if path is None else ("--public-key", "--key-id ID")
        )
        raise Refused([Reason(f"{given} is given without its pair.", f"Add {wanted}, or give neither.")])
    from streaming.kalshi.signing import KeyUnusable
    from streaming.kalshi.signing import public_key as checked

    remedy = "Name a file with an RSA or Ed25519 public key, as `openssl pkey -pubout` writes it."
    try:
        pem = path.read_text(encoding="utf-8")
        checked(pem)
    except (OSError, UnicodeDecodeError, KeyUnusable) as error:
        detail = error.strerror if isinstance(error, OSError) else error
        raise Refused([Reason(f"The public key '{path}' cannot be used: {detail}.", remedy)]) from error
    return {key_id: pem}
