"""`ssmd schema`."""

import hashlib
from collections.abc import Callable
from typing import Any

Ssmd = Callable[..., Any]


def test_every_version_is_listed_with_its_hash(ssmd: Ssmd) -> None:
    rows = ssmd("schema", "list", "--json").data

    assert len(rows) == 7
    assert all(len(row["schema_hash"]) == 64 for row in rows)


def test_the_shown_text_has_the_shown_hash(ssmd: Ssmd) -> None:
    shown = ssmd("schema", "show", "trade", "--version", "v1", "--json").data

    assert hashlib.sha256(shown["schema_definition"].encode()).hexdigest() == shown["schema_hash"]


def test_without_a_version_the_latest_is_shown(ssmd: Ssmd) -> None:
    assert ssmd("schema", "show", "trade", "--json").data["version"] == "v2"


def test_an_unknown_schema_or_version_is_exit_4(ssmd: Ssmd) -> None:
    answers = [ssmd("schema", "show", "trades"), ssmd("schema", "show", "trade", "--version", "v9")]

    assert [answer.code for answer in answers] == [4, 4]
    assert "Did you mean 'trade'?" in answers[0].err
    assert "trade:v2" in answers[1].err


def test_the_list_tells_what_was_there_then(ssmd: Ssmd) -> None:
    rows = ssmd("schema", "list", "--as-of", "2025-06-01", "--json").data

    assert {row["version"] for row in rows} == {"v1"}


def test_the_version_that_is_shown_by_default_is_said(ssmd: Ssmd) -> None:
    assert "chooses of v1, v2" in ssmd("schema", "show", "trade").err
    assert ssmd("schema", "show", "trade", "--version", "v1").err == ""
