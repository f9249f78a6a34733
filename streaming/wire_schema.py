"""The compiled schema of our messages, capnp/market_data.v2.capnp, and what reader and writer agree on beside it."""

from pathlib import Path
from typing import Any

import capnp

capnp.remove_import_hook()

SCHEMA_FOLDER = Path(__file__).resolve().parent.parent / "capnp"
# A parser of its own for each file: v1 and v2 share one file id.
MESSAGES: Any = capnp.SchemaParser().load(str(SCHEMA_FOLDER / "market_data.v2.capnp"))

NONE = -1  # of prices and values that are not there
SNAPSHOT, DELTA, CHECKPOINT = 0, 1, 2  # BookUpdateKind
FAULTS = ("unknown", "exchange", "network", "ours")  # Fault


class WireError(ValueError):
    """These bytes are not the message they should be, or cannot become one."""


def whole_contracts(size_e2: int) -> int:
    """v1's size: rounded up, since half a contract must not read as 0 = gone; capped where UInt32 ends."""
    return min(-(-size_e2 // 100), 0xFFFF_FFFF)
