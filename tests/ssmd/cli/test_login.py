"""`ssmd login`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.test import Client

from ssmd.runtime import home

Ssmd = Callable[..., Any]


def test_while_ssmd_up_runs_a_new_link_signs_in(ssmd: Ssmd, tmp_path: Path) -> None:
    lock = home.hold(tmp_path)
    (tmp_path / "run" / home.WEB_ADDRESS).write_text("127.0.0.1:8123")

    answer = ssmd("login")
    os.close(lock)

    assert answer.out.startswith("http://127.0.0.1:8123/login/")
    path = answer.out.strip().removeprefix("http://127.0.0.1:8123")
    assert Client().get(path).status_code == 302


def test_without_ssmd_up_there_is_nothing_to_sign_in_to(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "run" / home.WEB_ADDRESS).write_text("127.0.0.1:8123")  # a killed one left it

    answer = ssmd("login")

    assert (answer.code, answer.out, "Start `ssmd up`" in answer.err) == (6, "", True)
