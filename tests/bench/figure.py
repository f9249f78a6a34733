"""What a benchmark answers with."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value beside its ceiling, measured in the same run; both in `unit`."""

    name: str
    value: float
    unit: str
    ceiling: float

    def row(self) -> dict[str, object]:
        """As `ssmd bench --json` prints it; `ratio` is the part of the ceiling that was reached (for a time: how many times it)."""
        return {**asdict(self), "ratio": round(self.value / self.ceiling, 3) if self.ceiling else None}
