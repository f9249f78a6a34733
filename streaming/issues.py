"""What is wrong with single records, in the words of the registry's quality issues."""

from enum import Enum

import msgspec


class IssueKind(Enum):
    """The registry's issue types that normalizing can find."""

    PARSE_ERROR = "parse_error"  # a value, or the whole frame, cannot be read
    MISSING_FIELD = "missing_field"
    WIRE_DRIFT = "wire_drift"  # another wire than expected of that day: read all the same where it can be
    OFF_GRID_PRICE = "off_grid_price"  # outside of 0 to 1 dollar, or finer than 1/10,000
    DUPLICATE = "duplicate"  # a frame whose number was passed already
    OUT_OF_ORDER = "out_of_order"  # a number that comes after a later one, and was told as missing
    CROSSED_BOOK = "crossed_book"  # the best bid reached the best ask; told when it begins
    CLOCK_STEP = "clock_step"  # the recorder's wall clock was set
    TIME_SKEW = "time_skew"  # the venue's time is more than an hour from the receive time
    BOOK_DRIFT = "book_drift"  # a snapshot that we asked for is another book than the one we kept
    NEGATIVE_SIZE = "negative_size"  # a delta left less than nothing: the book is unknown from there on


class Issue(msgspec.Struct, frozen=True, gc=False):
    """One thing wrong with record `n`; `is_lost`: it gave no event."""

    kind: IssueKind
    n: int
    sample: str
    ticker: str = ""
    is_lost: bool = False
