"""A bus of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.lossy_bus import HardNats


@pytest.fixture
def hard_nats(tmp_path: Path) -> Iterator[HardNats]:
    """A running server that the test may hurt."""
    server = HardNats(tmp_path / "nats")
    server.start()
    yield server
    server.stop()
