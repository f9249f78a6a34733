"""Commands run in this process, on a bootstrapped registry."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import LazySettings

from registry.bootstrap import bootstrap
from ssmd.cli.main import run


class Answer(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The `data` of its JSON document."""
        return json.loads(self.out)["data"]


Ssmd = Callable[..., Answer]


@pytest.fixture
def ssmd(db: None, tmp_path: Path, settings: LazySettings, capsys: pytest.CaptureFixture[str]) -> Ssmd:
    """Run a command line: `ssmd("feed", "list", "--json")`."""
    settings.SSMD_HOME, settings.RUN_DIR = tmp_path, tmp_path / "run"
    settings.SSMD_SECRETS_DIR = tmp_path / "secrets"
    bootstrap()

    def call(*words: str) -> Answer:
        code = run(words)
        return Answer(code, *capsys.readouterr())

    return call
