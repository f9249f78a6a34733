import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import subjects
from streaming.gateway import messages, requests
from streaming.gateway.requests import ErrorCode, Problem, Request


def test_a_request_names_symbols_once_each_in_their_order() -> None:
    request = requests.of_text('{"action":"subscribe","symbols":["B","A","B"],"id":7}')

    assert request == Request("subscribe", ("B", "A"), ("trade", "orderbook"), 7)


def test_a_url_subscribes_to_its_symbols() -> None:
    assert requests.of_query("symbols=A,B,&channels=trade") == Request("subscribe", ("A", "B"), ("trade",))
    assert requests.of_query("symbols=%2A") == Request("subscribe", ("*",))


def test_a_url_without_a_query_asks_for_nothing() -> None:
    assert requests.of_query("") is None


@pytest.mark.parametrize(
    ("query", "code", "helps"),
    [
        ("replay=1", ErrorCode.UNKNOWN_KEY, '"replay"'),
        ("symbols=A&foo", ErrorCode.UNKNOWN_KEY, "Known: symbols, channels"),
        ("symbols=", ErrorCode.BAD_SYMBOLS, "names no symbol"),
        ("channels=trade", ErrorCode.BAD_SYMBOLS, "names no symbol"),
        ("symbols=A&channels=", ErrorCode.UNKNOWN_CHANNEL, "Known: trade, orderbook"),
        ("symbols=%00", ErrorCode.BAD_SYMBOLS, "cannot be printed"),
        ("%ff=%ff", ErrorCode.UNKNOWN_KEY, "Known: symbols, channels"),
    ],
)
def test_a_url_that_asks_wrongly_is_answered_with_what_would_be_right(
    query: str, code: ErrorCode, helps: str
) -> None:
    problem = requests.of_query(query)

    assert isinstance(problem, Problem)
    assert (problem.code, helps in problem.message) == (code, True)


def test_a_symbol_that_cannot_be_written_is_named() -> None:
    problem = requests.of_text('{"action":"subscribe","symbols":["A","\\ud800"]}')

    assert isinstance(problem, Problem)
    assert (problem.code, problem.symbol) == (ErrorCode.BAD_SYMBOLS, "\ud800")
    assert messages.error(problem).text.isascii()


@pytest.mark.parametrize(
    ("text", "code", "helps"),
    [
        ("{", ErrorCode.NOT_JSON, '{"action":"subscribe"'),
        ("[1]", ErrorCode.NOT_JSON, '{"action":"subscribe"'),
        ("[" * 60_000, ErrorCode.NOT_JSON, "JSON"),
        ('{"symbols":["A"]}', ErrorCode.UNKNOWN_ACTION, "names no action"),
        ('{"action":"subscribes","symbols":["A"]}', ErrorCode.UNKNOWN_ACTION, 'Did you mean "subscribe"'),
        ('{"action":["subscribe"],"symbols":["A"]}', ErrorCode.UNKNOWN_ACTION, "subscribe"),
        ('{"action":"subscribe"}', ErrorCode.BAD_SYMBOLS, "list of tickers"),
        ('{"action":"subscribe","symbols":"A"}', ErrorCode.BAD_SYMBOLS, "list of tickers"),
        ('{"action":"subscribe","symbols":[""]}', ErrorCode.BAD_SYMBOLS, "1 to 200"),
        ('{"action":"subscribe","symbols":[1]}', ErrorCode.BAD_SYMBOLS, "texts"),
        (
            '{"action":"subscribe","symbols":["A"],"channels":["orderbok"]}',
            ErrorCode.UNKNOWN_CHANNEL,
            '"orderbook"',
        ),
        ('{"action":"subscribe","symbols":["A"],"channels":{}}', ErrorCode.UNKNOWN_CHANNEL, "trade"),
        ('{"action":"subscribe","symbols":["A"],"channels":[{}]}', ErrorCode.UNKNOWN_CHANNEL, "Known"),
        ('{"action":"subscribe","symbols":["*"],"channels":["orderbook"]}', ErrorCode.UNKNOWN_CHANNEL, "*"),
        ('{"action":"subscribe","symbol":["A"]}', ErrorCode.UNKNOWN_KEY, '"symbols"'),
        ('{"action":"subscribe","symbols":["A"],"id":[]}', ErrorCode.BAD_ID, "64"),
    ],
)
def test_a_wrong_request_is_answered_with_a_number_and_what_would_be_right(
    text: str, code: ErrorCode, helps: str
) -> None:
    problem = requests.of_text(text)

    assert isinstance(problem, Problem)
    assert problem.code == code
    assert helps in problem.message


def test_more_than_five_hundred_symbols_are_refused() -> None:
    document = {"action": "subscribe", "symbols": [f"M{n}" for n in range(501)]}

    problem = requests.of_text(json.dumps(document))

    assert isinstance(problem, Problem)
    assert (problem.code, "501" in problem.message) == (ErrorCode.TOO_MANY_SYMBOLS, True)


ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.sampled_from(["A", "*", "trade"]),
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
)
ALMOST_A_REQUEST = st.fixed_dictionaries(
    {"action": st.sampled_from(requests.ACTIONS) | ANY_JSON, "symbols": st.lists(ANY_TEXT) | ANY_JSON},
    optional={"channels": st.lists(st.sampled_from(requests.CHANNELS)) | ANY_JSON, "id": ANY_JSON},
)


def check(request: Request | Problem | None) -> None:
    """It can be answered, and what it names can be looked for."""
    if isinstance(request, Problem):
        messages.error(request).text.encode()
    elif request is not None:
        for symbol in request.symbols:
            subjects.escape(symbol)


@given(ANY_JSON | ALMOST_A_REQUEST)
def test_any_json_is_answered(document: Any) -> None:
    check(requests.of_text(json.dumps(document)))


@given(ANY_TEXT)
def test_any_text_is_answered(text: str) -> None:
    check(requests.of_text(text))
    check(requests.of_query(text))
    check(requests.of_query(f"symbols={text}"))


@pytest.mark.parametrize("depth", [*range(100, 1200, 7), 30_000])
def test_json_of_any_depth_is_answered(depth: int) -> None:
    nested = "[" * depth + "]" * depth

    check(requests.of_text(f'{{"action":{nested},"symbols":["A"]}}'))
    check(requests.of_text(f'{{"action":"subscribe","symbols":["A"],"channels":[{nested}]}}'))
