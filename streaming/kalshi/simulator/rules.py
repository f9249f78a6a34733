"""How the exchange behaves where its documents leave room, announce a change, or have changed; pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Rules:
    """The rules in force; faults change them while the exchange runs."""

    # NO prices on the YES scale for whoever did not say (kalshi.md 3.2: announced, no date known).
    yes_price_default: bool = False
    # Before October 2025 a second subscribe to a channel was error 6.
    merges_repeats: bool = True
    first_sid: int = 1
    # Markets of one subscription; the venue's own limit is not known (error 26).
    most_markets: int | None = None
    # Added to the exchange's clock where it judges signatures and dates answers.
    clock_offset_ms: int = 0
    # Trading stands still: /exchange/status says so, or answers this status.
    is_paused: bool = False
    paused_status: int = 200
    resumes_us: int = 0
