"""`ssmd env`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Ssmd = Callable[..., Any]
DEMO = Path(__file__).parents[3] / "environments" / "demo.yaml"


def test_the_list_says_which_is_applied(ssmd: Ssmd) -> None:
    rows = ssmd("env", "list", "--json").data

    assert {row["name"]: row["applied"] for row in rows} == {"demo": True, "kalshi-prod": False}


def test_without_a_name_the_applied_environment_is_shown(ssmd: Ssmd) -> None:
    shown = ssmd("env", "show", "--json").data

    assert (shown["name"], shown["config_yaml"]) == ("demo", DEMO.read_text())


def test_an_environment_that_was_never_applied_is_shown_as_registered(ssmd: Ssmd) -> None:
    assert ssmd("env", "show", "kalshi-prod", "--json").data["version"] == 1


def test_a_day_before_it_was_applied_is_exit_4(ssmd: Ssmd) -> None:
    assert ssmd("env", "show", "demo", "--as-of", "2020-01-01").code == 4


def test_an_unknown_environment_is_exit_4(ssmd: Ssmd) -> None:
    answer = ssmd("env", "show", "dmo")

    assert (answer.code, "Did you mean 'demo'?" in answer.err) == (4, True)


def test_a_valid_definition_is_ticked(ssmd: Ssmd) -> None:
    answer = ssmd("env", "validate", str(DEMO))

    assert (answer.code, "✗" in answer.out) == (0, False)
    assert "✓ Feed 'kalshi-sim' exists and is active" in answer.out


def test_missing_secrets_make_a_definition_invalid(ssmd: Ssmd) -> None:
    answer = ssmd("env", "validate", str(DEMO.with_name("kalshi.yaml")))

    assert answer.code == 3
    assert "✗ Secret 'sealed-secret/s3-creds' exists" in answer.out
    assert "Looked" in answer.err


def test_an_unknown_feed_in_a_definition_is_refused(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(DEMO.read_text().replace("feed: kalshi-sim", "feed: kalshi-sm"))

    answer = ssmd("env", "validate", str(tmp_path / "x.yaml"))

    assert (answer.code, "Did you mean 'kalshi-sim'?" in answer.err) == (3, True)


def test_malformed_yaml_names_the_line(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("apiVersion: ssmd/v1\nkind: [\n")

    answer = ssmd("env", "validate", str(tmp_path / "x.yaml"))

    assert (answer.code, "line 3" in answer.err) == (3, True)


def test_a_file_that_is_not_there_is_named(ssmd: Ssmd, tmp_path: Path) -> None:
    answers = [ssmd("env", "validate", str(path)) for path in (tmp_path / "none.yaml", tmp_path)]

    assert [answer.code for answer in answers] == [4, 4]
    assert "none.yaml cannot be read" in answers[0].err


def test_a_secret_that_holds_no_key_makes_a_definition_invalid(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "secrets/kalshi-sim-creds/api_secret").write_text("no key")

    answer = ssmd("env", "validate", str(DEMO))

    assert (answer.code, "in PEM" in answer.err) == (3, True)


def test_the_list_tells_what_was_applied_then(ssmd: Ssmd) -> None:
    rows = ssmd("env", "list", "--as-of", "2020-01-01", "--json").data

    assert {(row["applied"], row["version"]) for row in rows} == {(False, None)}


def test_a_malformed_definition_is_a_failed_check_in_json_too(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("kind: [\n")

    answer = ssmd("env", "validate", str(tmp_path / "x.yaml"), "--json")

    assert (answer.code, [row["ok"] for row in answer.data]) == (3, [False])
    assert "x.yaml: Not YAML" in answer.err and "demo.yaml shows the form" in answer.err


def test_one_omission_is_one_error(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(DEMO.read_text().partition("  storage:")[0])

    answer = ssmd("env", "validate", str(tmp_path / "x.yaml"))

    assert [line.strip() for line in answer.err.splitlines() if "storage" in line] == [
        f"- {tmp_path / 'x.yaml'}: spec.storage: is missing"
    ]


def test_an_instant_is_said_with_z(ssmd: Ssmd) -> None:
    answer = ssmd("env", "show", "demo", "--as-of", "2020-01-01T00:00:00+01:00")

    assert "at 2019-12-31T23:00:00Z" in answer.err and "+0" not in answer.err
