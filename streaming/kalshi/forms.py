"""Numbers and times in any of the forms that the venue has used, and a note where the form is not that day's. Pure."""

from collections.abc import Sequence

from streaming.events import Level
from streaming.issues import IssueKind
from streaming.kalshi import numbers
from streaming.kalshi.numbers import CENT_E4, CONTRACT_E2, change_e2, contract_price_e4, count_e2, rfc3339_ns
from streaming.kalshi.tolerant import Unmappable
from streaming.kalshi.wires import Wire

_S = 1_000_000_000
_MOST_SECONDS = 10**10
Levels = Sequence[tuple[str, str]] | Sequence[tuple[str, int]] | Sequence[tuple[int, int]]


class Forms:
    """Reads the exact form where there is one, else cents and whole contracts; notes go to `noted`."""

    def __init__(self, wire: Wire, noted: list[tuple[IssueKind, str]]) -> None:
        self._noted = noted
        self._mapper = wire.mapper
        self._wants_cents, self._wants_exact = wire.has_cents, wire.has_fixed_point

    def levels(self, exact: Levels | None, dollars: Levels | None, cents: Levels | None) -> list[Level]:
        """One side, from the most exact form that is there; an empty side is not there in any."""
        if exact is not None:
            if self._wants_cents and cents is None:
                self.drift("levels without cents")
            return [Level(_price_of(price), _count_of(size)) for price, size in exact]
        levels = dollars if dollars is not None else cents
        if levels is None:
            return []
        if self._wants_exact:
            self.drift("levels without a fixed-point form")
        return [Level(_price_of(price), _count_of(size)) for price, size in levels]

    def price(self, dollars: str | None, cents: int | None, name: str) -> int:
        """A price that the event cannot do without."""
        if dollars is not None:
            return contract_price_e4(dollars)
        if cents is None:
            raise Unmappable(name, kind=IssueKind.MISSING_FIELD)
        if self._wants_exact:
            self.drift(f"{name} is missing")
        return cents * CENT_E4

    def optional(self, dollars: str | None, cents: int | None, name: str) -> int | None:
        """A price that the event can do without; "" is none."""
        if not dollars:
            return None if cents is None else cents * CENT_E4
        try:
            return contract_price_e4(dollars)
        except numbers.OffGrid as error:
            self._noted.append((IssueKind.OFF_GRID_PRICE, f"{name}: {error}"))
        except numbers.NotExact as error:
            self.spoiled(name, str(error))
        return None

    def count(self, text: str | None, contracts: int | None, name: str) -> int | None:
        """A size that the event can do without."""
        if text is None:
            return None if contracts is None else contracts * CONTRACT_E2
        try:
            return count_e2(text)
        except numbers.NotExact as error:
            self.spoiled(name, str(error))
        return None

    def size(self, text: str | None, contracts: int | None, name: str) -> int:
        """A size that the event cannot do without."""
        self.expect(text, contracts, name)
        if text is not None:
            return change_e2(text)
        if contracts is None:
            raise Unmappable(f"{name}_fp", kind=IssueKind.MISSING_FIELD)
        return contracts * CONTRACT_E2

    def time(self, stated: object) -> int | None:
        """A time in one of the older forms: Unix seconds, or RFC 3339."""
        if type(stated) is int and 0 <= stated <= _MOST_SECONDS:
            return stated * _S
        if isinstance(stated, str):
            try:
                at_ns = rfc3339_ns(stated)
            except (ValueError, OverflowError):
                at_ns = -1
            if 0 <= at_ns <= _MOST_SECONDS * _S:
                return at_ns
            self.spoiled("ts", repr(stated[:40]))
        elif stated is not None:
            self.spoiled("ts", repr(stated)[:40])
        return None

    def expect(self, exact: object, plain: object, name: str) -> None:
        """Note the form of a number that this day's wire should have and the frame has not."""
        if exact is None and self._wants_exact and plain is not None:
            self.drift(f"{name}_fp is missing")
        if plain is None and self._wants_cents and exact is not None:
            self.drift(f"{name} is missing")

    def drift(self, what: str) -> None:
        """Note that the wire is another one."""
        self._noted.append((IssueKind.WIRE_DRIFT, f"{what}, expected {self._mapper}"))

    def spoiled(self, name: str, what: str) -> None:
        """Note a value that cannot be read and is done without."""
        self._noted.append((IssueKind.PARSE_ERROR, f"{name}: {what}"))


def _price_of(price: str | int) -> int:
    return price * CENT_E4 if isinstance(price, int) else contract_price_e4(price)


def _count_of(size: str | int) -> int:
    return size * CONTRACT_E2 if isinstance(size, int) else count_e2(size)
