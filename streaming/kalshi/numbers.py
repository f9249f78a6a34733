"""The venue's decimal strings, cents and times as exact integers."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

DOLLAR_E4 = 10_000
CENT_E4, CONTRACT_E2 = 100, 100
MOST_DIGITS = 15  # before the point: anything longer is no size that was ever traded


class NotExact(ValueError):
    """The text is no decimal number, or has more places than the scale keeps."""


class _TooFine(NotExact):
    """More places than the scale keeps."""


class OffGrid(NotExact):
    """A number, but no price of a contract that pays one dollar."""


_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@lru_cache(maxsize=16_384)  # a grid has at most 10,001 prices
def contract_price_e4(text: str) -> int:
    """A price of a contract that pays one dollar; raises OffGrid for any other amount."""
    try:
        price = _scaled(text, 4)
    except _TooFine as error:
        raise OffGrid(str(error)) from None
    if not 0 <= price <= DOLLAR_E4:
        raise OffGrid(f"a price lies between 0 and 1 dollar, not at {text[:40]!r}")
    return price


@lru_cache(maxsize=65_536)
def count_e2(text: str) -> int:
    """A number of contracts that rest or were traded."""
    size = _scaled(text, 2)
    if size < 0:
        raise NotExact(f"less than nothing: {text[:40]!r}")
    return size


@lru_cache(maxsize=65_536)  # changes come in round numbers
def change_e2(text: str) -> int:
    """A signed number of contracts."""
    return _scaled(text, 2)


def rfc3339_ns(text: str) -> int:
    """`"2026-08-11T01:15:28.97871Z"` -> Unix ns, to the microsecond; raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without its zone: {text[:40]!r}")
    return (moment - _EPOCH) // _MICROSECOND * 1000


def price_e4(text: str) -> int:
    """`"0.4200"` -> 4200: 1/10,000 dollar."""
    return _scaled(text, 4)


def size_e2(text: str) -> int:
    """`"13.00"` -> 1300: 1/100 contract; signed for changes."""
    return _scaled(text, 2)


def _scaled(text: str, places: int) -> int:
    whole, point, fraction = text.partition(".")
    digits = whole.removeprefix("-")
    # isdecimal alone would let other alphabets' digits pass.
    if not (digits.isascii() and digits.isdigit()) or (
        point and not (fraction.isascii() and fraction.isdigit())
    ):
        raise NotExact(f"not a decimal number: {text[:40]!r}")
    if len(digits) > MOST_DIGITS:
        raise NotExact(f"too large: {text[:40]!r}")
    if len(fraction) > places and fraction[places:].strip("0"):
        raise _TooFine(f"more than {places} decimal places: {text[:40]!r}")
    return int(whole + fraction[:places].ljust(places, "0"))
