"""What `ssmd exchange start` was told."""

import errno
import ssl
from dataclasses import dataclass
from pathlib import Path

from registry.refusal import ExitCode, Reason, Refused
from streaming.kalshi.simulator.auth import Door
from streaming.kalshi.simulator.client import HEARTBEAT_S, PONG_WITHIN_S
from streaming.kalshi.simulator.mischief.fault import Fault
from streaming.kalshi.simulator.rest import RATE

DEFAULT_MARKETS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `ssmd exchange start` was told."""

    host: str
    port: int
    seed: int
    markets: int | None
    rate: float
    replay: tuple[Path, ...]
    speed: float
    once: bool
    original_times: bool
    ledger: Path | None
    door: Door
    faults: tuple[Fault, ...] = ()
    # Combo markets at a time; of random markets the share to which something happens; tokens of REST a second.
    combos: int = 0
    incidents: float = 0.0
    rest_tokens: float = RATE
    tls: ssl.SSLContext | None = None
    heartbeat_s: float = HEARTBEAT_S
    pong_within_s: float = PONG_WITHIN_S


def port_refusal(options: Options, error: OSError) -> Refused:
    """Why it cannot listen there, in words."""
    where = f"{options.host}:{options.port}"
    if error.errno == errno.EADDRINUSE:
        reason = Reason(
            f"Port {options.port} on {options.host} is busy: another program listens there.",
            "Stop it, or choose a free port: --port NUMBER (0 takes any free one).",
        )
        return Refused([reason], exit_code=ExitCode.CONFLICT)
    reason = Reason(
        f"Cannot listen on {where}: {error}.", "Name an address of this machine and a port you may use."
    )
    return Refused(
        [reason], exit_code=ExitCode.PERMISSION if error.errno == errno.EACCES else ExitCode.INVALID
    )
