"""The ORM for an asynchronous process: a thread of its own, and what fails for a passing reason is tried again."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog
from django.db import IntegrityError, InterfaceError, OperationalError, connections

from registry.refusal import ExitCode
from streaming import follow_metrics as metrics

log = structlog.get_logger()
T = TypeVar("T")

# SQLite itself waits 20 s for its lock before it fails.
ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.2
# Another writer was first; a second time round its row is known. Again and again is no coincidence.
_CLASHES = 2


class DatabaseAway(Exception):
    """The database could not be written to for a while: the process ends, and is started again."""

    exit_code = ExitCode.UNAVAILABLE


class Database:
    """One thread, hence one connection, for everything that a process asks."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="database")

    async def do(self, work: Callable[[], T]) -> T:
        """The result of `work`, which must be one transaction: it may be done again from its beginning."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._once(work)
            except (OperationalError, InterfaceError) as error:
                why = str(error).strip() or type(error).__name__
                if attempt == ATTEMPTS:
                    raise DatabaseAway(f"the database failed {ATTEMPTS} times: {why}") from error
            except IntegrityError as error:
                why = str(error).strip()
                if attempt >= _CLASHES:
                    raise
            metrics.DATABASE_RETRIES.labels(self._feed).inc()
            log.warning("the database is asked again", why=why, attempt=attempt)
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, _guarded, work)


def _guarded(work: Callable[[], T]) -> T:
    """A connection that failed is not used again."""
    try:
        return work()
    except (OperationalError, InterfaceError):
        connections.close_all()
        raise
