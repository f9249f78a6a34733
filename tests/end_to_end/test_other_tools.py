"""The archive is read by other people's tools, with the commands that docs/formats.md shows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from archive.raw import part_keys
from archive.seal import Archive
from archive.seal_manifest import latest
from archive.store import DirectoryStore
from tests.archive.days import DAY, FEED
from tests.conftest import absent
from tests.damage.day import whole_day

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "formats.md").read_text()
SECTION = DOC.partition("## Reading the archive without ssmd")[2].partition("\n## ")[0]
COMMANDS = [line for line in SECTION.splitlines() if line.startswith("zstd -dc")]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    for tool in ("zstd", "capnp"):
        if shutil.which(tool) is None:
            absent(f"{tool} is not installed")
    return whole_day(tmp_path_factory.mktemp("archive"))


def root_of(store: object) -> Path:
    assert isinstance(store, DirectoryStore)
    return store.root


def shell(command: str, archive: Archive) -> bytes:
    """The command as it stands, for a feed of that name; run where both archives and the schemas are found."""
    folder = root_of(archive.normalized if "/v2/" in command else archive.raw)
    command = command.replace(" kalshi/", f" {folder}/{FEED}/").replace(" capnp/", f" {ROOT}/capnp/")
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_raw_lines_are_printed_by_zstd(archive: Archive) -> None:
    manifest = latest(archive.raw, FEED, DAY)
    assert manifest is not None
    [file] = [one for one in manifest.raw if (one.kind, one.hour) == ("trade", 12)]

    assert shell(COMMANDS[0], archive).count(b"\n") == file.rows > 0


def test_trades_are_printed_by_capnp(archive: Archive) -> None:
    printed = shell(COMMANDS[1], archive).decode()

    assert printed.count("tradeId = ") == printed.count('ticker = "KXA-1"') > 10
    assert "price = 0.54" in printed


def test_books_are_printed_as_json_by_capnp(archive: Archive) -> None:
    printed = shell(COMMANDS[2], archive).decode()

    assert len(re.findall(r'"ticker": ?"KXA-1"', printed)) > 10


def test_the_checksum_of_every_file_is_zstds_own(archive: Archive) -> None:
    files = [*root_of(archive.raw).rglob("*.zst"), *root_of(archive.normalized).rglob("*.zst")]

    done = subprocess.run(["zstd", "-tq", *map(str, files)], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    assert len(files) > 2 * len(part_keys(archive.raw, FEED, DAY))
