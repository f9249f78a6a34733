"""Buses of the tests' own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.lossy_bus import HardNats
from tests.running import NatsServer


@pytest.fixture
def hard_nats(tmp_path: Path) -> Iterator[HardNats]:
    """A running server that the test may hurt."""
    server = HardNats(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """One for the connector's configuration: what cannot be read is counted by whoever publishes."""
    server = NatsServer(tmp_path_factory.mktemp("bus"))
    server.start()
    yield {"nats_url": server.url}
    server.stop()
