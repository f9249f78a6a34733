"""Why an operation may not go ahead: all reasons at once, each with what would be right."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum


class ExitCode(IntEnum):
    """What a refused command's process answers with."""

    UNEXPECTED = 1
    USAGE = 2
    INVALID = 3
    NOT_FOUND = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    INCOMPLETE = 7
    INTEGRITY = 8
    PERMISSION = 9


TITLES = {
    ExitCode.UNEXPECTED: "Unexpected",
    ExitCode.USAGE: "Wrong usage",
    ExitCode.INVALID: "Validation failed",
    ExitCode.NOT_FOUND: "Not found",
    ExitCode.CONFLICT: "Conflict",
    ExitCode.UNAVAILABLE: "Not available",
    ExitCode.INCOMPLETE: "Incomplete",
    ExitCode.INTEGRITY: "Integrity failure",
    ExitCode.PERMISSION: "Not permitted",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong, and what would be right."""

    problem: str
    remedy: str = ""
    did_you_mean: str = ""
    listing: str = ""  # all that exists, with a heading; shown once, below the reasons

    def __str__(self) -> str:
        return f"{self.problem}\n    {self.remedy}" if self.remedy else self.problem


class Refused(Exception):
    """Tell the operator: nothing was done, and why."""

    def __init__(self, reasons: Iterable[Reason], *, exit_code: ExitCode = ExitCode.INVALID) -> None:
        self.reasons = tuple(reasons)
        self.exit_code = exit_code
        super().__init__(self.reasons)

    def __str__(self) -> str:
        lines = [
            f"Error: {TITLES[self.exit_code]}",
            *(line for reason in self.reasons for line in _lines(reason)),
        ]
        listings = dict.fromkeys(reason.listing for reason in self.reasons if reason.listing)
        return "\n".join([*lines, *(f"\n{listing}" for listing in listings)])


def _lines(reason: Reason) -> list[str]:
    hint = [f"  - Did you mean '{reason.did_you_mean}'?"] if reason.did_you_mean else []
    return [f"  - {reason}", *hint]


def require(*checks: Iterable[Reason], exit_code: ExitCode = ExitCode.INVALID) -> None:
    """Raise one `Refused` with every reason that the checks found."""
    reasons = [reason for check in checks for reason in check]
    if reasons:
        raise Refused(reasons, exit_code=exit_code)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean 'kalshi'?`, or the known words when none is near."""
    words = sorted(known)
    near = get_close_matches(word, words, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(words)}." if words else "None is registered; run `ssmd bootstrap`."
