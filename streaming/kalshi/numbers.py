"""The venue's decimal strings as exact integers."""

DOLLAR_E4 = 10_000


class NotExact(ValueError):
    """The text is no decimal number, or has more places than the scale keeps."""


def price_e4(text: str) -> int:
    """`"0.4200"` -> 4200: 1/10,000 dollar."""
    return _scaled(text, 4)


def size_e2(text: str) -> int:
    """`"13.00"` -> 1300: 1/100 contract; signed for changes."""
    return _scaled(text, 2)


def _scaled(text: str, places: int) -> int:
    whole, _, fraction = text.partition(".")
    digits = whole.removeprefix("-")
    # isdecimal alone would let other alphabets' digits pass.
    if not (digits.isascii() and digits.isdigit()) or (
        fraction and not (fraction.isascii() and fraction.isdigit())
    ):
        raise NotExact(f"not a decimal number: {text!r}")
    if len(fraction) > places and fraction[places:].strip("0"):
        raise NotExact(f"more than {places} decimal places: {text!r}")
    return int(whole + fraction[:places].ljust(places, "0"))
