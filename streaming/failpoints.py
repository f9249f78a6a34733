"""Places where a test can make a process die, fail or wait. Nothing happens unless SSMD_TESTING is 1.

`SSMD_FAILPOINTS="shipper.after_data=kill@3,capture.sync=eio"`: at the third time that the shipper stands there it
kills itself; the capture log's sync fails every time. A program with failpoints and without SSMD_TESTING does not start.
"""

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping

from registry.refusal import Reason, Refused

# Every place there is: tests walk through this list, and a name that is not in it is refused.
POINTS = (
    "capture.before_append",
    "capture.half_appended",
    "capture.after_append",
    "capture.sync",
    "capture.new_segment",
    "publisher.after_publish",
    "publisher.before_cursor",
    "shipper.before_data",
    "shipper.after_data",
    "shipper.after_manifest",
    "shipper.before_cursor",
    "shipper.before_trim",
    "shipper.mid_trim",
    "archiver.after_fetch",
    "archiver.before_data",
    "archiver.after_data",
    "archiver.after_manifest",
    "archiver.after_part",
    "inventory.before_rows",
    "inventory.mid_rows",
    "inventory.after_rows",
    "seal.before_plan",
    "seal.after_plan",
    "seal.raw_hour_written",
    "seal.raw_hour_committed",
    "seal.shard_written",
    "seal.shard_committed",
    "seal.before_verify",
    "seal.before_commit",
    "seal.after_commit",
    "gc.before_delete",
    "gc.mid_delete",
)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _sleep() -> None:
    time.sleep(0.5)


def _fail() -> None:
    raise RuntimeError("a failpoint")


def _disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _io_error() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


ACTIONS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "stop": _stop,
    "sleep": _sleep,
    "raise": _fail,
    "enospc": _disk_full,
    "eio": _io_error,
}


class Failpoints:
    """What shall happen where; `<point>=<action>` each time, `<point>=<action>@<k>` the k-th time only."""

    def __init__(self, text: str) -> None:
        self._armed = dict(_parse(one) for one in text.split(",") if one)
        self._seen: Counter[str] = Counter()

    def has(self, point: str) -> bool:
        """Whether something is to happen at `point`."""
        return point in self._armed

    def reach(self, point: str) -> None:
        """The process stands at `point`."""
        if point not in self._armed:
            return
        action, only = self._armed[point]
        self._seen[point] += 1
        if only is None or self._seen[point] == only:
            ACTIONS[action]()


def _parse(text: str) -> tuple[str, tuple[str, int | None]]:
    point, _, told = text.strip().partition("=")
    action, at, count = told.partition("@")
    if point not in POINTS or action not in ACTIONS or (at and not count.isdigit()):
        remedy = f"Write <point>=<action>[@<k>] with an action of {', '.join(ACTIONS)}."
        raise Refused([Reason(f"SSMD_FAILPOINTS: {text!r} is no failpoint", remedy)])
    return point, (action, int(count) if at else None)


def from_environment(environment: Mapping[str, str]) -> Failpoints | None:
    """The failpoints that are armed; None, as always in production; refused outside of tests."""
    text = environment.get("SSMD_FAILPOINTS", "")
    if not text:
        return None
    if environment.get("SSMD_TESTING") != "1":
        problem = "SSMD_FAILPOINTS is set: this process would fail on purpose"
        raise Refused([Reason(problem, "Unset it; only tests, with SSMD_TESTING=1, may set it.")])
    return Failpoints(text)


_armed = from_environment(os.environ)


def _nothing(point: str) -> None:
    """In production."""


# Bound once: outside of tests a failpoint costs one call of an empty function.
reach: Callable[[str], None] = _nothing if _armed is None else _armed.reach


def arm(text: str) -> None:
    """Arm this very process, from a test within it; an empty text disarms."""
    global reach
    reach = Failpoints(text).reach if text else _nothing


def is_armed(point: str) -> bool:
    """Whether anything happens at `point`: for a step that only a test divides in two."""
    armed = getattr(reach, "__self__", None)
    return isinstance(armed, Failpoints) and armed.has(point)
