"""What a starting connector does about the sessions before it: those that crashed are ended, and the bus is told."""

import asyncio
from pathlib import Path

import structlog

from streaming import dead_session
from streaming.events import GapNotice
from streaming.log_reader import CaptureLogError

log = structlog.get_logger()

LOOKS = 11  # a tenth of a second apart


async def end_old_sessions(capture: Path, environment: str) -> list[GapNotice]:
    """Sessions that crashed, or could not publish all: what the bus has to be told of them."""
    notices = []
    for folder in sorted(path for path in capture.iterdir() if path.is_dir()):
        try:
            await _see_it_ended(folder, environment)
            notice = dead_session.unannounced(folder)
        except (CaptureLogError, OSError, ValueError) as error:  # an old log must not stop a new one
            log.error("old session not readable", folder=str(folder), error=str(error))
            continue
        if notice is not None:
            notices.append(notice)
    return notices


async def _see_it_ended(folder: Path, environment: str) -> None:
    """The shipper may be ending it at this very moment: look until it has, or it is another connector's that lives."""
    for _ in range(LOOKS):
        if dead_session.end_dead_session(folder, environment=environment) or _needs_no_end(folder):
            return
        await asyncio.sleep(0.1)
    log.info("another session goes on", folder=str(folder))


def _needs_no_end(folder: Path) -> bool:
    last = dead_session.last_record(folder)
    return last is None or dead_session.is_end(last)
