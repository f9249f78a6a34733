"""Options that many commands share."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, date, datetime, timedelta

from ssmd.cli.table import FORMATS

_DAYS_AGO = {"today": 0, "yesterday": 1}


def add_output(parser: ArgumentParser) -> None:
    """`-o table|json|ndjson|csv`, and `--json` for short; the verb takes `output: str`."""
    parser.add_argument("-o", "--output", choices=FORMATS, default="table", help="format (default: table)")
    parser.add_argument(
        "--json", action="store_const", const="json", dest="output", help="the same as -o json"
    )


def add_as_of(parser: ArgumentParser) -> None:
    """`--as-of DATE`: what was true then; the verb takes `as_of: date | datetime | None`."""
    parser.add_argument("--as-of", type=moment, metavar="DATE", help="as it was then (UTC; default: now)")


def add_feed(parser: ArgumentParser) -> None:
    """`--feed NAME`; the verb takes `feed: str | None`, None for the applied environment's."""
    parser.add_argument("--feed", metavar="NAME", help="default: the applied environment's")


def day(text: str) -> date:
    """A UTC day, written YYYY-MM-DD, `today` or `yesterday`."""
    if text in _DAYS_AGO:
        return datetime.now(UTC).date() - timedelta(days=_DAYS_AGO[text])
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = f"'{text}' is no day; write it like 2025-12-14, today or yesterday (UTC)"
        raise ArgumentTypeError(message) from error


def moment(text: str) -> date | datetime:
    """A UTC day, or an instant in RFC 3339 with its zone."""
    try:
        return date.fromisoformat(text) if len(text) <= len("2025-12-14") else _instant(text)
    except ValueError as error:
        message = f"'{text}' is no time; write it like 2025-12-14 or 2025-12-14T10:00:00Z"
        raise ArgumentTypeError(message) from error


def _instant(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError("without a zone it could mean several instants")
    return parsed


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"'{text}' is no count; write a whole number from 1")
    return int(text)
