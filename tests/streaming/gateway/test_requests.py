import json

import pytest

from streaming.gateway import requests
from streaming.gateway.requests import ErrorCode, Problem, Request


def test_a_request_names_symbols_once_each_in_their_order() -> None:
    request = requests.of_text('{"action":"subscribe","symbols":["B","A","B"],"id":7}')

    assert request == Request("subscribe", ("B", "A"), ("trade", "orderbook"), 7)


def test_a_url_subscribes_to_its_symbols() -> None:
    assert requests.of_query("A,B,", "trade") == Request("subscribe", ("A", "B"), ("trade",))


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
