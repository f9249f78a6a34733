"""Who records an environment: one connector, and for a moment a second one that takes over from it.

The second starts while the first goes on; once it is ready it asks the first to end, so that no frame is lost between
the two. Both say so in files of the environment's capture folder; a second one that was not told to is refused.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.refusal import ExitCode, Reason, Refused
from streaming.durable import make_folder
from streaming.file_lock import FileLock, Locked, is_locked
from streaming.kalshi.shards import ALL, Shard


class Seat:
    """The right to record; `is_waiting` while the connector before us still has it."""

    def __init__(self, folder: Path, shard: Shard = ALL, *, take_over: bool = False) -> None:
        """Raises Locked where somebody else has it, or is about to take it over; OSError where nothing can be written."""
        shard_name = f"connector-{shard.index}-of-{shard.count}" if str(shard) else "connector"
        self._lock_path = folder / f"{shard_name}.lock"
        self._successor_path = folder / f"{shard_name}.successor"
        self._asking: FileLock | None = None
        self._seat: FileLock | None = None
        make_folder(folder)
        try:
            self._seat = FileLock(self._lock_path)
        except Locked:
            if not take_over:
                raise
            self._asking = FileLock(self._successor_path)
            os.truncate(self._successor_path, 0)

    @property
    def is_waiting(self) -> bool:
        """Whether another connector is to end first."""
        return self._seat is None

    def ask(self, session: str) -> None:
        """We are ready: the connector before us may end."""
        self._successor_path.write_text(session)

    def try_to_take(self) -> bool:
        """Whether the seat is ours, now that it may be free."""
        if self._seat is None:
            with suppress(Locked):
                self._seat = FileLock(self._lock_path)
        if self._seat is not None and self._asking is not None:
            self._successor_path.unlink(missing_ok=True)
            self._asking.release()
            self._asking = None
        return self._seat is not None

    def successor(self) -> str:
        """The session that is ready to take over; empty while there is none that lives."""
        try:
            session = self._successor_path.read_text()
            return session if session and is_locked(self._successor_path) else ""
        except FileNotFoundError:
            return ""

    def release(self) -> None:
        """Give up what we hold."""
        for lock in (self._seat, self._asking):
            if lock is not None:
                lock.release()


@contextmanager
def seat(folder: Path, shard: Shard = ALL, *, take_over: bool = False) -> Iterator[Seat]:
    """The environment's seat while the block runs; raises Refused with what to do."""
    try:
        taken = Seat(folder, shard, take_over=take_over)
    except Locked:
        remedy = (
            "Wait until the other one has."
            if take_over
            else "Stop it first, or replace it without a gap by --take-over."
        )
        about = "is being taken over already" if take_over else "is running already"
        reason = Reason(f"a connector of environment {folder.name!r} {about}", remedy)
        raise Refused([reason], exit_code=ExitCode.CONFLICT) from None
    except OSError as error:
        remedy = "Set SSMD_HOME to a folder that you may write to."
        reason = Reason(f"cannot write to {folder}: {error.strerror}", remedy)
        raise Refused([reason], exit_code=ExitCode.PERMISSION) from error
    try:
        yield taken
    finally:
        taken.release()
