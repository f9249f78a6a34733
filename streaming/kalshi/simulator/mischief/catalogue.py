"""Every kind of fault that the simulated exchange knows; pure."""

from streaming.kalshi.simulator.mischief.at_large import AT_LARGE
from streaming.kalshi.simulator.mischief.fault import REQUIRED, Kind, Level
from streaming.kalshi.simulator.mischief.of_connections import OF_CONNECTIONS
from streaming.kalshi.simulator.mischief.of_frames import OF_FRAMES

CATALOGUE: dict[str, Kind] = {kind.name: kind for kind in (*OF_FRAMES, *OF_CONNECTIONS, *AT_LARGE)}


def described(kind: Kind) -> dict[str, str]:
    """One kind as a row for people."""
    return {
        "name": kind.name,
        "level": kind.level,
        "strikes": _how_often(kind),
        "parameters": "; ".join(f"{one.name}: {one.form}{_default(one.default)}" for one in kind.parameters),
        "what": kind.says,
        "faults": " ".join(kind.codes),
    }


def _how_often(kind: Kind) -> str:
    if kind.count:
        return "once" if kind.count == 1 else f"{kind.count} times"
    return "each once" if kind.level is Level.CONNECTION else "until it ends"


def _default(value: object) -> str:
    if value is REQUIRED:
        return ""
    if value is None or value == "":
        return " (optional)"
    return f" ({str(value).lower() if isinstance(value, bool) else value})"
