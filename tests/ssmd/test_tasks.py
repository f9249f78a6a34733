from pathlib import Path
from typing import Any

import pytest

from ssmd import tasks
from ssmd.celery import app
from ssmd.runtime import schedule


def test_what_the_schedule_asks_for_is_a_task() -> None:
    app.loader.import_default_modules()
    assert {entry.task for entry in schedule.entries("demo", is_simulated=True)} <= set(app.tasks)


def test_messages_are_json_only() -> None:
    assert app.conf.accept_content == ["json"]


def test_a_step_that_still_runs_is_not_started_twice(tmp_path: Path, settings: Any) -> None:
    settings.RUN_DIR = tmp_path
    with tasks.only_one("step") as first, tasks.only_one("step") as second, tasks.only_one("other") as other:
        assert (first, second, other) == (True, False, True)
    with tasks.only_one("step") as again:
        assert again


def test_a_step_that_failed_may_run_again(tmp_path: Path, settings: Any) -> None:
    settings.RUN_DIR = tmp_path
    with pytest.raises(BlockingIOError), tasks.only_one("step"):
        raise BlockingIOError
    with tasks.only_one("step") as again:
        assert again
