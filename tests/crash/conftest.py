"""A bootstrapped home that every crash test copies."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.crash.scene import Scene
from tests.running import free_port


class Template(NamedTuple):
    """Its folder, and the port at which its registry expects the exchange."""

    home: Path
    exchange_port: int


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Made once a session."""
    home = tmp_path_factory.mktemp("template") / "home"
    scene = Scene(home, exchange_port=free_port())
    scene.bootstrap()
    return Template(home, scene.exchange_port)
