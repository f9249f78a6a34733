"""`ssmd doctor`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import LazySettings

Ssmd = Callable[..., Any]


def findings(answer: Any) -> dict[str, str]:
    return {row["check"]: row["status"] for row in answer.data}


def test_a_bootstrapped_machine_is_sound(ssmd: Ssmd) -> None:
    answer = ssmd("doctor", "--json")

    assert "fail" not in findings(answer).values()
    assert {"python", "data folder", "disk", "database", "environment", "secret", "nats-server"} <= findings(
        answer
    ).keys()


def test_a_secret_that_others_can_read_fails_with_its_remedy(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "secrets/kalshi-sim-creds/api_key").chmod(0o644)

    answer = ssmd("doctor")

    assert (answer.code, "chmod 600" in answer.out) == (6, True)


def test_a_folder_that_cannot_be_written_to_fails(ssmd: Ssmd, settings: LazySettings) -> None:
    settings.SSMD_HOME = Path("/proc/ssmd")

    answer = ssmd("doctor", "--json")

    assert (answer.code, findings(answer)["data folder"]) == (6, "fail")


def test_a_key_that_is_none_fails_without_being_shown(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "secrets/kalshi-sim-creds/api_secret").write_text("-----BEGIN PRIVATE KEY-----\nabc\n")

    answer = ssmd("doctor")

    assert (answer.code, "api_secret of sealed-secret/kalshi-sim-creds" in answer.out) == (6, True)
    assert "abc" not in answer.out
