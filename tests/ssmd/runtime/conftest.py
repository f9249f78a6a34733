"""Real servers under a real supervisord, in a folder with an awkward name."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmd.runtime import home
from ssmd.runtime.supervisor import Supervisor


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """A data folder whose path holds what shells and configuration files trip over."""
    folder = tmp_path / "a b" / "c #d ;e 100%"
    home.prepare(folder)
    return folder


@pytest.fixture
def supervisor(data_folder: Path) -> Iterator[Supervisor]:
    """A supervisor that is gone after the test, whatever happens in it."""
    supervisor = Supervisor(data_folder, dict(os.environ))
    yield supervisor
    supervisor.close()
