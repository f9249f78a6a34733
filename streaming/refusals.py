"""What the bus refuses: every time counted by its kind, once a minute said, and shown for as long as it lasts."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog

from registry.refusal import ExitCode, Refused
from streaming import metrics, transport
from streaming.complaints import Complaints

log = structlog.get_logger()

NOTE = "bus.trouble"  # in an environment's capture folder

# JetStream's err_code: account or server resources, memory, file storage, a limit of the stream.
_FULL = frozenset({10002, 10023, 10028, 10047, 10077})


def reason_of_answer(error: Mapping[str, object] | None) -> str:
    """The kind of a publishing's negative answer; None is the answer of a bus where no stream takes the subject."""
    if error is None:
        return "no_stream"
    return "full" if error.get("err_code") in _FULL else "other"


def reason_of_error(error: Exception) -> str:
    """The kind of what was raised when the bus was reached; empty where it is only away."""
    if isinstance(error, Refused):
        return "old_server" if error.exit_code == ExitCode.UNAVAILABLE else "drift"
    if transport.is_denied(error):
        return "authorization"
    return "permission" if "permissions violation" in str(error).lower() else ""


class Refusals:
    """One feed's; while the bus is away or refuses, `note_file` says so to `ssmd doctor`."""

    def __init__(self, feed: str, note_file: Path | None = None) -> None:
        self._feed, self._note_file = feed, note_file
        self._noted = "not known"  # an earlier session may have left its note
        self._complaints = Complaints(feed)
        self.reason = ""  # while the bus refuses
        metrics.init_bus(feed)

    def note(self, reason: str, problem: str) -> None:
        """The bus refused something."""
        self.reason = reason
        self._write(f"the bus refuses: {problem[:300]}")
        metrics.BUS_REFUSALS.labels(self._feed, reason).inc()
        metrics.BUS_REFUSES.labels(self._feed).set(1)
        self._complaints.note("bus", reason, problem=f"the bus refuses: {problem[:300]}")

    def away(self) -> None:
        """It is not reached; what it refused before is not known to be over."""
        if not self.reason:
            self._write("the bus is not reached")

    def over(self) -> None:
        """It takes what it is given again."""
        self._write("")
        if self.reason:
            log.info("the bus takes events again", feed=self._feed, refused_for=self.reason)
        self.reason = ""
        metrics.BUS_REFUSES.labels(self._feed).set(0)

    def _write(self, what: str) -> None:
        if self._note_file is None or what == self._noted:
            return
        self._noted = what
        try:
            if what:
                self._note_file.write_text(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {what}\n")
            else:
                self._note_file.unlink(missing_ok=True)
        except OSError as error:  # the log and the metrics say it, too
            log.warning("note not written", file=str(self._note_file), error=str(error))
