"""Recorded order books and trades as they came: what is measured with them is what a busy hour is like."""

import gzip
import json
import os
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

WINDOWS = ("KXGOLD15M-26AUG102115-15", "KXGOLD15M-26AUG102145-45", "KXGOLD15M-26AUG102045-45")


def frames(count: int) -> Iterator[bytes]:
    """This many frames; without SSMD_RECORDINGS, made ones of the same shape."""
    folder = Path(os.environ.get("SSMD_RECORDINGS", "")) / "gold15m" / "events"
    paths = [path for window in WINDOWS for path in sorted((folder / window).glob("*.gz"))]
    return islice(_recorded(paths) if paths else _made(), count)


def _recorded(paths: list[Path]) -> Iterator[bytes]:
    for path in cycle(paths):
        with gzip.open(path) as lines:
            for line in lines:
                yield json.dumps(json.loads(line)["event"], separators=(",", ":")).encode()


def _made() -> Iterator[bytes]:
    seq = 0
    while True:
        seq += 1
        yield json.dumps(
            {
                "type": "orderbook_delta", "sid": 1, "seq": seq,
                "msg": {
                    "market_ticker": f"KXMADE-{seq % 7}", "market_id": "e17f9914-b35c-4692-a0f4-4553cd349b07",
                    "price_dollars": f"0.{seq * 37 % 100:02d}00", "delta_fp": f"{seq * 13 % 500}.00",
                    "side": ("yes", "no")[seq % 2], "ts_ms": 1_786_410_076_226 + seq,
                },
            },
            separators=(",", ":"),
        ).encode()  # fmt: skip
