"""`ssmd data inventory` over three years, as an operator waits for it. The ceiling is bare Django plus the bare SQL."""

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure
from tests.end_to_end.system import SSMD, System

RUNS = 5
DAYS, GAPS, PARTS = 1_100, 5_000, 100_000
FIRST = date(2022, 12, 1)
_SETUP = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'ssmd.settings'; django.setup()"
_SQL = (
    "import sqlite3, sys; rows = sqlite3.connect(sys.argv[1]).execute("
    "'SELECT date, data_type, schema_version, byte_size, status, gap_count, quality_score FROM data_inventory'"
    " ' ORDER BY date, data_type').fetchall(); assert len(rows) == int(sys.argv[2])"
)


def measure() -> list[Figure]:
    """Median seconds of the whole process, over 1,100 days of raw and normalized rows."""
    with tempfile.TemporaryDirectory() as folder:
        one = System(Path(folder) / "home")
        one.bootstrap()
        database = _database(Path(folder) / "home")
        _fill(database)
        environment = {**one.environment, "SSMD_LIGHT": "1"}
        value = _median([SSMD, "data", "inventory", "--feed", "kalshi-sim"], one.environment)
        ceiling = _median(
            [sys.executable, "-c", f"{_SETUP}; {_SQL}", str(database), str(2 * DAYS)], environment
        )
    return [Figure("data inventory, 3 years", round(value, 2), "s", round(ceiling, 2))]


def _database(home: Path) -> Path:
    return next(path for path in home.rglob("*.sqlite3"))


def _fill(database: Path) -> None:
    connection = sqlite3.connect(database)
    (feed,) = connection.execute("SELECT id FROM feeds WHERE name = 'kalshi-sim'").fetchone()
    days = [FIRST + timedelta(days=number) for number in range(DAYS)]
    _insert(connection, "data_inventory", _inventory(feed, days))
    _insert(connection, "data_gaps", _gaps(feed, days))
    _insert(connection, "archive_parts", _parts(feed, days))
    connection.commit()
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[dict[str, Any]]) -> None:
    first, *others = rows
    names = ", ".join(first)
    marks = ", ".join("?" for _ in first)
    connection.executemany(
        f"INSERT INTO {table} ({names}) VALUES ({marks})",
        [tuple(row.values()) for row in (first, *others)],
    )


def _inventory(feed: int, days: list[date]) -> Iterator[dict[str, Any]]:
    for on in days:
        for kind, schema in (("raw", None), ("normalized", "v2")):
            yield {
                "feed_id": feed,
                "data_type": kind,
                "date": str(on),
                "storage_path": "x",
                "schema_version": schema,
                "symbol_count": 900,
                "record_count": 5_000_000,
                "byte_size": 500_000_000,
                "status": "complete",
                "gap_count": 4,
                "quality_score": "0.99",
            }


def _gaps(feed: int, days: list[date]) -> Iterator[dict[str, Any]]:
    for number in range(GAPS):
        on = days[number % DAYS]
        yield {
            "feed_id": feed,
            "date": str(on),
            "gap_start": f"{on} 10:00:00",
            "gap_end": f"{on} 10:00:05",
            "gap_type": "connection_lost",
            "session": f"kalshi-sim-{on}",
            "gap_number": number,
            "symbols": "[]",
            "detail": "{}",
        }


def _parts(feed: int, days: list[date]) -> Iterator[dict[str, Any]]:
    for number in range(PARTS):
        on = days[number % DAYS]
        yield {
            "feed_id": feed,
            "environment": "demo",
            "date": str(on),
            "session": f"kalshi-sim-{on}",
            "first_n": number * 10 + 1,
            "last_n": number * 10 + 10,
            "key": f"kalshi-sim/{on:%Y/%m/%d}/_parts/s/{number:020d}.jsonl.zst",
            "rows": 10,
            "raw_bytes": 1_000,
            "stored_bytes": 100,
            "sha256": "0" * 64,
            "first_ns": number,
            "last_ns": number + 1,
            "connector_version": "",
            "processor_version": "",
            "marks": "[]",
            "ingested_at": f"{on} 10:00:00",
        }


def _median(command: list[str], environment: dict[str, str]) -> float:
    def seconds() -> float:
        began = time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return time.perf_counter() - began

    seconds()  # the first run compiles
    return statistics.median(seconds() for _ in range(RUNS))
