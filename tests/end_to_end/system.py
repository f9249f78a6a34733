"""A whole ssmd in processes of its own, on free ports and in a folder of its own."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy

from archive.store import DirectoryStore
from streaming import wire
from streaming.events import BookDelta, BookSnapshot, Event, GapNotice, Trade
from tests.oracle import Archived, Sent, read_archive, read_ledger
from tests.running import free_port, until

FEED, STREAM, ENVIRONMENT = "kalshi-sim", "ssmd-kalshi-sim", "demo"
SSMD = str(Path(sys.executable).parent / "ssmd")
NATS = str(Path(sys.executable).parent / "nats-server")


@dataclass
class System:
    """Start its parts as a test needs them; what still runs at the end is ended."""

    home: Path
    nats_port: int = field(default_factory=free_port)
    exchange_port: int = field(default_factory=free_port)
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def ledger(self) -> Path:
        """What the exchange says that it sent."""
        return self.home / "ledger.ndjson"

    def __post_init__(self) -> None:
        kept = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSMD_TESTING") if name in os.environ
        }
        bus = f"nats://127.0.0.1:{self.nats_port}"
        self.environment = {**kept, "SSMD_HOME": str(self.home), "NATS_URL": bus}

    def ssmd(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """One command of the operator's, to its end."""
        return subprocess.run(
            [SSMD, *words], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )

    def bootstrap(self) -> None:
        """A registry whose simulated exchange is at our port."""
        self.home.mkdir(parents=True, exist_ok=True)
        done = self.ssmd(
            "bootstrap", "--sim-endpoint", f"ws://127.0.0.1:{self.exchange_port}/trade-api/ws/v2"
        )
        assert done.returncode == 0, done.stderr

    def start(self, name: str, *command: str, failpoints: str = "") -> "subprocess.Popen[bytes]":
        """Start one process; its output goes to <home>/<name>.log."""
        testing = {"SSMD_TESTING": "1", "SSMD_FAILPOINTS": failpoints} if failpoints else {}
        environment = {**self.environment, **testing}
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=self.home, start_new_session=True
            )
        self.running[name] = process
        return process

    def start_nats(self) -> None:
        """The bus, where `ssmd up` would keep its data."""
        store = str(self.home / "nats")
        self.start("nats", NATS, "-a", "127.0.0.1", "-p", str(self.nats_port), "-js", "-sd", store)
        until(lambda: _listens(self.nats_port), seconds=10, what="nats-server listens")

    def start_exchange(self, *options: str) -> None:
        """The simulated exchange, with its ledger and the registry's demo key."""
        keys = self.home / "secrets" / "kalshi-sim-creds"
        key = ("--key-id", (keys / "api_key").read_text().strip(), "--public-key", str(keys / "public_key"))
        port = ("--port", str(self.exchange_port))
        self.start("exchange", SSMD, "exchange", "start", *port, *key, "--ledger", str(self.ledger), *options)
        until(lambda: _listens(self.exchange_port), seconds=20, what="the exchange listens")

    def start_connector(self) -> "subprocess.Popen[bytes]":
        """The connector."""
        return self.start("connector", SSMD, "connector", "start", "--env", ENVIRONMENT)

    def start_shipper(self) -> "subprocess.Popen[bytes]":
        """The shipper."""
        return self.start("shipper", SSMD, "shipper", "start", "--env", ENVIRONMENT)

    def stop(self, name: str, *, how: int = signal.SIGTERM, seconds: float = 30) -> int:
        """End one process and wait for it; returns its exit code."""
        process = self.running.pop(name)
        process.send_signal(how)
        return process.wait(seconds)

    def wait_for(self, name: str, *, seconds: float) -> int:
        """Wait until a process ends by itself."""
        return self.running.pop(name).wait(seconds)

    def wait_until_captured(self) -> None:
        """The connector that was started has a session that is ready."""
        until(lambda: '"msg": "ready"' in self.log("connector"), seconds=30, what="the connector is ready")

    def stop_gently(self, name: str) -> None:
        """End a process if it runs, in its own order."""
        if name in self.running:
            self.stop(name, seconds=60)

    def stop_all(self) -> None:
        """End what is left, hard."""
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait(10)
        self.running.clear()

    def start_up(self, *options: str) -> int:
        """Everything by `ssmd up`; returns the web server's port once it says that market data flow."""
        web = free_port()
        self.environment.pop("NATS_URL", None)  # it brings its own bus
        (self.home / "up.log").unlink(missing_ok=True)
        ports = ("--web-port", str(web), "--exchange-port", str(self.exchange_port))
        up = self.start("up", SSMD, "up", *ports, "--ledger", str(self.ledger), *options)
        until(lambda: "ssmd is up" in self.log("up") or up.poll() is not None, seconds=90, what="ssmd is up")
        assert up.poll() is None, self.log("up")
        kept = json.loads((self.home / "run" / "ports.json").read_text())
        self.nats_port = kept["nats"]
        return web

    # -- what it did ------------------------------------------------------------------------------

    def sent(self) -> list[Sent]:
        """The ledger so far."""
        return read_ledger(self.ledger)

    def archive(self) -> list[Archived]:
        """The raw archive so far."""
        return read_archive(DirectoryStore(self.home / "archive" / "raw"), FEED)

    def published(self) -> list[Event]:
        """Every event in the stream, in the stream's order."""
        return asyncio.run(_read_stream(f"nats://127.0.0.1:{self.nats_port}"))

    def log(self, name: str) -> str:
        """What a process said."""
        return (self.home / f"{name}.log").read_text(errors="replace")


@contextmanager
def system(home: Path) -> Iterator[System]:
    """A bootstrapped system with its bus."""
    one = System(home)
    try:
        one.bootstrap()
        one.start_nats()
        yield one
    finally:
        one.stop_all()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _read_stream(url: str) -> list[Event]:
    client = await nats.connect(url)
    js = client.jetstream()
    total = (await js.stream_info(STREAM)).state.messages
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, max_ack_pending=-1, ack_policy="none")
    puller = await js.pull_subscribe("", stream=STREAM, config=config)
    events: list[Event] = []
    while len(events) < total:
        for message in await puller.fetch(min(5000, total - len(events)), timeout=10):
            token = message.subject.split(".")[1]
            total -= token == "secmaster"  # no event of the exchange's
            if token != "secmaster":
                events.append(wire.decode(token, message.data))
    await client.close()
    return events


def trades(events: list[Event]) -> list[Trade]:
    """The trades among events."""
    return [event for event in events if isinstance(event, Trade)]


def books(events: list[Event]) -> list[BookSnapshot | BookDelta]:
    """The book events among events."""
    return [event for event in events if isinstance(event, BookSnapshot | BookDelta)]


def notices(events: list[Event]) -> list[GapNotice]:
    """The gap notices among events."""
    return [event for event in events if isinstance(event, GapNotice)]
