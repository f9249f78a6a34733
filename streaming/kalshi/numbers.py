"""The venue's decimal strings as exact integers."""

DOLLAR_E4 = 10_000
MOST_DIGITS = 15  # before the point: anything longer is no size that was ever traded


class NotExact(ValueError):
    """The text is no decimal number, or has more places than the scale keeps."""


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
        raise NotExact(f"more than {places} decimal places: {text[:40]!r}")
    return int(whole + fraction[:places].ljust(places, "0"))
