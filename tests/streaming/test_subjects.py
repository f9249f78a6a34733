import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import subjects
from streaming.events import Event
from tests.streaming import events as any_of

_TOKEN = re.compile(r"[A-Za-z0-9_=-]+\Z")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_escaped_text_comes_back(text: str) -> None:
    assert subjects.unescape(subjects.escape(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_escaped_text_is_one_token_without_wildcards(text: str) -> None:
    assert _TOKEN.match(subjects.escape(text))


@given(any_of.texts, any_of.texts)
def test_two_texts_never_share_a_token(one: str, other: str) -> None:
    assert (subjects.escape(one) == subjects.escape(other)) == (one == other)


@pytest.mark.parametrize(
    ("ticker", "token"),
    [
        ("KXBTC15M-26JUL191145-45", "KXBTC15M-26JUL191145-45"),
        ("KXBTCD-26AUG2017-T73749.99", "KXBTCD-26AUG2017-T73749=2E99"),
        ("a*b>c d\r\n", "a=2Ab=3Ec=20d=0D=0A"),
        ("=2E", "=3D2E"),
        ("é", "=C3=A9"),
        ("", "="),
    ],
)
def test_tickers_are_escaped_as_the_design_says(ticker: str, token: str) -> None:
    assert subjects.escape(ticker) == token


def test_a_text_that_is_longer_than_any_ticker_is_cut_and_told_apart() -> None:
    tokens = [subjects.of_market("f", "trade", "X" * 5_000 + end) for end in ("a", "b")]

    assert tokens[0] != tokens[1]
    assert all(len(token) < 2_500 and _TOKEN.match(token.split(".")[2]) for token in tokens)


def test_a_ticker_of_200_characters_is_never_cut() -> None:
    token = subjects.of_market("f", "trade", "\U0001f600" * 200).split(".")[2]

    assert subjects.unescape(token) == "\U0001f600" * 200


@given(any_of.events)
def test_every_event_has_a_subject_that_the_stream_keeps(event: Event) -> None:
    subject = subjects.address("kalshi", event)

    kept = [pattern.removesuffix("*") for pattern in subjects.of_stream("kalshi")]
    assert any(subject.startswith(front) for front in kept)


def test_republished_subjects_are_not_taken_in_again() -> None:
    _, destination = subjects.republished("kalshi")

    fronts = [pattern.removesuffix("*") for pattern in subjects.of_stream("kalshi")]
    assert not any(destination.startswith(front) for front in fronts)


def test_a_markets_subject_is_the_one_its_events_go_to() -> None:
    assert subjects.of_market("kalshi", "trade", "A.B") == "kalshi.trade.A=2EB"


def test_raw_frames_lie_outside_the_stream() -> None:
    assert subjects.raw("kalshi", "orderbook") == "kalshi.raw.orderbook"
