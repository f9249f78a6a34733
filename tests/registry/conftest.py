"""A bootstrapped registry, and a PostgreSQL server of its own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from registry.models import Feed

POSTGRES = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def home(tmp_path: Path, settings: LazySettings) -> Path:
    """A data folder of its own; the database is the test's."""
    settings.SSMD_HOME = tmp_path
    settings.RUN_DIR = tmp_path / "run"
    settings.SSMD_SECRETS_DIR = tmp_path / "secrets"
    return tmp_path


@pytest.fixture
def feed(db: None) -> Feed:
    """A feed without versions."""
    return Feed.objects.create(name="kraken", feed_type="websocket", venue="kraken")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a temporary server on the loopback interface; absent, the test is skipped unless all is required."""
    if not (POSTGRES / "initdb").exists():
        if os.environ.get("SSMD_REQUIRE_ALL") == "1":
            pytest.fail("PostgreSQL 15 is not installed: apt install postgresql")
        pytest.skip("PostgreSQL 15 is not installed")
    folder = Path(tempfile.mkdtemp(prefix="ssmd-pg-", dir="/tmp"))
    server = _started(folder, port := _free_port())
    try:
        yield f"postgres://ssmd@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path, port: int) -> subprocess.Popen[bytes]:
    user = _unprivileged(folder)
    data = folder / "data"
    subprocess.run(
        [*user, POSTGRES / "initdb", "-D", data, "-U", "ssmd", "-A", "trust", "--no-sync", "-E", "UTF8"],
        check=True,
        capture_output=True,
    )
    fast = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    place = ["-c", "listen_addresses=127.0.0.1", "-p", str(port), "-k", str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*user, POSTGRES / "postgres", "-D", data, *place, *fast], stderr=log, stdout=log
        )
    for _ in range(200):
        ready = subprocess.run([POSTGRES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
        if ready.returncode == 0:
            return server
        assert server.poll() is None, (folder / "log").read_text()
        time.sleep(0.1)
    server.kill()
    raise AssertionError("PostgreSQL did not start")


def _unprivileged(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "postgres", "postgres")
    # setpriv execs: the process we started is the server itself.
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
