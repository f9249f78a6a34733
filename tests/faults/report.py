"""Which faults are proven handled, by which tests: `python -m tests.faults.report [JUNIT.xml]`.

With the file that `pytest tests/faults --junitxml JUNIT.xml` wrote it also says how many seconds each test took.
"""

import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

from tests.faults.test_catalogue import CLAIMED, proven


def lines(seconds: dict[str, float]) -> list[str]:
    """One line for each claimed fault and test; `seconds` by file::name, all parameters together."""
    found = []
    for fault in CLAIMED:
        for test in proven().get(fault, ["not proven"]):
            took = f"{seconds[test]:6.1f} s" if test in seconds else ""
            found.append(f"{fault:4} {took:9} {test}".rstrip())
    return found


def seconds_of(path: Path) -> dict[str, float]:
    """What a run of pytest took, by file::name."""
    found: dict[str, float] = defaultdict(float)
    for case in ET.parse(path).iter("testcase"):
        module, name = case.get("classname", "").rpartition(".")[2], case.get("name", "").partition("[")[0]
        found[f"{module}::{name}"] += float(case.get("time", 0))
    return dict(found)


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines(seconds_of(Path(sys.argv[1])) if sys.argv[1:] else {})) + "\n")
