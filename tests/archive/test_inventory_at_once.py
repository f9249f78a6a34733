"""Two workers, each a process of its own, on one database file."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.layout import parse_manifest_key
from archive.store import DirectoryStore
from tests.archive.conftest import FEED, SessionMaker, add_trades

WORKER = """
import sys
from pathlib import Path
import django
django.setup()
from archive.inventory import record_new_parts
from archive.store import DirectoryStore
for _ in range(5):
    record_new_parts(DirectoryStore(Path(sys.argv[1])), "kalshi-sim", "demo")
"""
ASK = """
import django
django.setup()
from registry.models import ArchivePart, DataInventory, InventorySymbol
row = DataInventory.objects.get()
print(ArchivePart.objects.count(), row.record_count, row.symbol_count)
"""
PREPARE = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from registry.models import Feed
Feed.objects.create(name="kalshi-sim", feed_type="websocket", status="active")
"""


@pytest.mark.slow
def test_two_workers_at_once_make_the_same_rows_as_one(
    tmp_path: Path, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    add_trades(session(), 400)
    ship(part_bytes=1_000)
    environment = os.environ | {
        "SSMD_HOME": str(tmp_path / "home"),
        "DJANGO_SETTINGS_MODULE": "ssmd.settings",
    }
    environment.pop("DATABASE_URL", None)
    (tmp_path / "home").mkdir()
    run = [sys.executable, "-c"]
    subprocess.run([*run, PREPARE], env=environment, check=True)

    workers = [subprocess.Popen([*run, WORKER, str(store.root)], env=environment) for _ in range(2)]

    assert [worker.wait(60) for worker in workers] == [0, 0]
    answer = subprocess.run([*run, ASK], env=environment, check=True, capture_output=True, text=True).stdout
    parts = sum(parse_manifest_key(key) is not None for key in store.list(f"{FEED}/"))
    assert answer.split() == [str(parts), "401", "1"]
