from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.kalshi.numbers import NotExact, price_e4, size_e2


def test_every_price_of_the_grid_is_exact() -> None:
    assert all(price_e4(f"{number // 10_000}.{number % 10_000:04d}") == number for number in range(10_001))


@given(st.integers(-(10**17) + 1, 10**17 - 1))
def test_every_size_is_exact(size: int) -> None:
    assert size_e2(f"{Decimal(size).scaleb(-2):f}") == size


@given(st.integers(-(10**6), 10**6), st.integers(0, 6))
def test_more_or_fewer_places_make_no_difference(number: int, zeros: int) -> None:
    assert price_e4(f"{Decimal(number).scaleb(-4):f}" + "0" * zeros) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.4", 4000), ("0.42", 4200), ("1", 10_000), ("0.0001", 1), ("1.0000", 10_000), ("-0.5000", -5000)],
)
def test_fewer_places_than_the_scale_are_filled(text: str, expected: int) -> None:
    assert price_e4(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ".", ".5", "5.", "-", "--1", "+1", " 1", "1 ", "1_000", "1,5", "1e2", "NaN", "Infinity", "0x10",
        "1.2.3", "٣", "1.٣", "½", "1.-2", "0.00001", "0.42001", "1\n", "9" * 16, "9" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_exact_decimal_is_refused(text: str) -> None:
    with pytest.raises(NotExact):
        price_e4(text)


@given(st.text(max_size=12))
def test_any_text_is_read_exactly_or_refused(text: str) -> None:
    try:
        found = size_e2(text)
    except NotExact:
        return
    assert Decimal(found) == Decimal(text) * 100


def test_a_refusal_quotes_only_the_beginning() -> None:
    with pytest.raises(NotExact) as refused:
        price_e4("x" * 10_000)

    assert len(str(refused.value)) < 100
