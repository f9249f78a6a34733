"""The faults of the matrix, and what is written while they happen."""

import os

from tests.archive.stores.conftest import PART_BYTES

SMALL, MIDDLE, LARGE = 200, 300_000, PART_BYTES + 70_000
PASSING = [
    (429, "SlowDown"),
    (500, "InternalError"),
    (502, ""),
    (503, "SlowDown"),
    (504, ""),
    (409, "OperationAborted"),
]
# In parts only these: five megabytes each time.
PASSING_IN_PARTS = [(429, "SlowDown"), (500, "InternalError"), (503, "SlowDown"), (409, "OperationAborted")]
LASTING = [(400, "InvalidRequest"), (403, "AccessDenied"), (404, "NoSuchBucket"), (405, "MethodNotAllowed")]
# What a proxy on the way says, without the store's own word.
WORDLESS = [(404, ""), (409, "ConditionalRequestConflict"), (408, "RequestTimeout"), (500, "")]

CONTENTS = {size: os.urandom(size) for size in (0, SMALL, MIDDLE, LARGE)}


def names(cases: list[tuple[object, ...]]) -> list[str]:
    """A test's id for each case."""
    return ["-".join(map(str, case)).replace(" ", "") for case in cases]
