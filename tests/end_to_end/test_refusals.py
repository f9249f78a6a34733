"""A connector that cannot do what it was asked says so on one screen, with the right exit code, and no traceback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.system import System, system

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("refusals")]

UNKNOWN_ENVIRONMENT = ("--env", "dmo")
UNKNOWN_FEED = ("--feed", "kalshy")
UNKNOWN_MARKET = ("--feed", "kalshi-sim", "--symbols", "KXGOLD5M-NOPE")
DEMO = ("--env", "demo")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("refusals") / "home") as running:
        running.start_exchange("--seed", "1")
        assert running.ssmd("market", "sync").returncode == 0
        yield running


@pytest.fixture
def keys(one: System) -> Iterator[Path]:
    """The demo key's folder; what a test does to it is undone."""
    folder = one.home / "secrets" / "kalshi-sim-creds"
    before = {path: path.read_text() for path in folder.iterdir()}
    yield folder
    for path, text in before.items():
        path.touch(mode=0o600)
        path.write_text(text)


def refusal(one: System, *words: str) -> tuple[int, str]:
    """The exit code, and what was said to the operator."""
    done = one.ssmd("connector", "start", *words)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 25
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (UNKNOWN_ENVIRONMENT, "Did you mean 'demo'?"),
        (UNKNOWN_FEED, "Did you mean 'kalshi"),
        (UNKNOWN_MARKET, "Market 'KXGOLD5M-NOPE' of feed 'kalshi-sim' not found"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(one: System, words: tuple[str, ...], right: str) -> None:
    code, said = refusal(one, *words)
    assert code == 3
    assert right in said


def test_a_key_that_the_exchange_refuses_is_told_in_its_words(one: System, keys: Path) -> None:
    (keys / "api_key").write_text("wrong-key")
    code, said = refusal(one, *DEMO)
    assert code == 9
    assert "refused the key wrong-key: 401" in said
    assert "NOT_FOUND" in said


def test_a_key_that_is_none_is_found_before_anything_is_asked(one: System, keys: Path) -> None:
    (keys / "api_secret").write_text("garbage")
    code, said = refusal(one, *DEMO)
    assert code == 3
    assert "PEM" in said


def test_a_key_that_is_not_there_is_named_with_its_place(one: System, keys: Path) -> None:
    (keys / "api_secret").unlink()
    code, said = refusal(one, *DEMO)
    assert code == 3
    assert "api_secret" in said


def test_a_second_connector_is_refused(one: System) -> None:
    first = one.start_connector()
    try:
        one.wait_until_captured()
        code, said = refusal(one, *DEMO)
    finally:
        one.stop("connector")
    assert (code, first.returncode) == (5, 0)
    assert "is running already" in said
