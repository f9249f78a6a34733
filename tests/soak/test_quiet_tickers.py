"""A day of very many tickers that hardly trade: one small file each, within minutes, in little memory."""

import resource
import time
from pathlib import Path

import pytest

from archive.rows import pieces
from archive.seal import seal_day
from archive.seal_events import read_index
from streaming import marks
from tests.archive.days import DAY, NOON, START, add_session, archive_in, records
from tests.faults.proof import watched
from tests.streaming.kalshi.frames import trade

TICKERS = 100_000
PUTS = 'ssmd_store_operations_total{operation="put",result="ok",store="directory"}'
MOST_MIB = 1_000  # of this process: the day's events, and what pytest takes


@pytest.mark.soak(minutes=6)
@pytest.mark.timeout(1_800)
def test_a_hundred_thousand_quiet_tickers_are_sealed(tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    frames = [trade(f"KXMANY-{n}", n, trade_id=f"t{n}") for n in range(1, TICKERS + 1)]
    found = records([START, *frames, marks.SessionEnd("stopped")], step_ns=10_000)
    add_session(archive.raw, "kalshi-sim-20251214T120000Z-000001", found, part_bytes=1 << 26)

    begun = time.monotonic()
    with watched() as risen:
        manifest = seal_day(archive, DAY, now_ns=NOON + 86_400 * 10**9)
    seconds = time.monotonic() - begun

    files = [file for shard in manifest.shards for file in read_index(archive.normalized, shard.index)]
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"\n{len(files):,} files in {seconds:.0f} s, {risen[PUTS]:,.0f} puts, {mib} MiB")  # noqa: T201
    assert len(files) == manifest.markets == TICKERS
    assert TICKERS < risen[PUTS] < TICKERS + 50
    assert all(len(b"".join(pieces(archive.normalized, file))) == file.raw_bytes for file in files[::1_000])
    assert mib < MOST_MIB
