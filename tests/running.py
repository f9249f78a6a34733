"""Real servers for tests: a nats-server of their own, a gateway of their own; ended by their own process ids."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import nats
from nats.aio.client import Client

from streaming import subjects, wire
from streaming.events import Event
from streaming.transport import StreamSpec, ensure_stream

_BIN = Path(sys.executable).parent


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds: Callable[[], bool], *, what: str, seconds: float = 20.0) -> None:
    """Wait until it holds; the test fails where it does not come true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.02)


class NatsServer:
    """A nats-server with JetStream on a free port, that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self._folder / "nats.log").open("ab")
        self._process = subprocess.Popen([str(_BIN / "nats-server"), *self.options()], stdout=log, stderr=log)
        until(self._listens, what="nats-server listens")

    def options(self) -> list[str]:
        return ["-js", "-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self._folder)]

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Publisher:
    """Publishes events as a connector does: their subjects, their identities."""

    def __init__(self, client: Client, feed: str) -> None:
        self._client, self.feed = client, feed

    @classmethod
    async def open(cls, url: str, *, feed: str, stream: str) -> "Publisher":
        client = await nats.connect(url, connect_timeout=2)
        await ensure_stream(client, StreamSpec(stream, feed, max_bytes=64 * 1024**2))
        return cls(client, feed)

    async def publish(self, *events: Event) -> None:
        for event in events:
            subject = subjects.address(self.feed, event)
            origin = getattr(event, "origin", None)
            headers = {"Nats-Msg-Id": origin.identity} if origin else None
            await self._client.jetstream().publish(subject, wire.encode(event), headers=headers)

    async def close(self) -> None:
        await self._client.close()


class Gateway:
    """`ssmd gateway start --env demo` with a registry of its own."""

    def __init__(self, folder: Path, nats_url: str) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.environment = {**os.environ, "SSMD_HOME": str(folder), "NATS_URL": nats_url}
        self._log = folder / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        ssmd = str(_BIN / "ssmd")
        subprocess.run([ssmd, "bootstrap"], env=self.environment, check=True, capture_output=True)
        command = [ssmd, "gateway", "start", "--env", "demo", "--port", str(self.port)]
        log = self._log.open("wb")
        self._process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        until(self._answers, what="the gateway answers")

    def signal(self) -> None:
        """Ask it to end, without waiting."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """End it; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(15)

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/v1/health", timeout=2) as answer:
                return re.search(rb'"nats":\{"status":"ok"', answer.read()) is not None
        except (urllib.error.URLError, OSError):
            return False
