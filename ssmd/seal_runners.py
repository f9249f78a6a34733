"""Who does the steps of a seal: Celery workers where a broker runs, processes of this machine otherwise."""

import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from multiprocessing import get_context

import structlog

from archive.objects import StoreError
from archive.seal import Archive, Runner, Step, do_step
from archive.seal_manifest import Plan
from ssmd.archives import ArchiveSpec
from ssmd.runtime.launcher import die_with_parent

LOOK_SECONDS = 0.5
IDLE_LOOKS = 3  # that no worker has a step in hand, before what is missing is done here
# A queue of its own: hours of work must not stand before what is done every five seconds.
SEAL_QUEUE, STEP_TASK = "seal", "ssmd.tasks.seal_step"

Progress = Callable[[int, int], None]


def quiet(done: int, of: int) -> None:
    """For whoever does not look."""


def in_processes(spec: ArchiveSpec, *, processes: int | None = None, progress: Progress = quiet) -> Runner:
    """Runs the steps on the cores of this machine."""

    def run(_: Archive, plan: Plan, steps: list[Step]) -> None:
        workers = min(processes or os.cpu_count() or 1, len(steps))
        # Not forked: a copy of a process with threads may inherit a lock that nobody will release.
        with ProcessPoolExecutor(workers, get_context("spawn"), _die_with_us) as pool:
            pending = [pool.submit(_step, spec, plan.date, plan.version, step) for step in steps]
            _await_all(pending, progress)

    return run


def _await_all(pending: "list[Future[None]]", progress: Progress) -> None:
    """The first failure ends all: what was not begun is not begun."""
    progress(0, len(pending))
    try:
        for done, one in enumerate(as_completed(pending), start=1):
            one.result()
            progress(done, len(pending))
    except BrokenProcessPool as error:
        raise StoreError("a process of the seal was killed; was there too little memory?") from error
    finally:
        for one in pending:
            one.cancel()


def _die_with_us() -> None:
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is the parent's to answer
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )  # stdout is the parent's, for data


def _step(spec: ArchiveSpec, on: date, version: int, step: Step) -> None:
    do_step(spec.open(), on, version, step)


def in_workers(spec: ArchiveSpec, *, progress: Progress = quiet) -> Runner:
    """Hands the steps to Celery workers and watches the store for what they commit; does itself what they do not."""
    from ssmd.tasks import seal_step

    def run(archive: Archive, plan: Plan, steps: list[Step]) -> None:
        for step in steps:
            seal_step.delay(spec.environment, plan.date.isoformat(), plan.version, step.kind, step.number)
        missing, idle = list(steps), 0
        while missing and idle < IDLE_LOOKS:
            time.sleep(LOOK_SECONDS)
            missing = [step for step in missing if archive.raw.head(step.key(plan)) is None]
            progress(len(steps) - len(missing), len(steps))
            idle = 0 if not missing or _is_at_work() else idle + 1
        for step in missing:  # it failed there: here it is told why
            do_step(archive, plan.date, plan.version, step)

    return run


def best_runner(spec: ArchiveSpec, *, progress: Progress = quiet) -> Runner:
    """Workers, if any takes tasks of the queue for seals; this machine's cores otherwise."""
    has_workers = _somebody_takes(SEAL_QUEUE)
    return in_workers(spec, progress=progress) if has_workers else in_processes(spec, progress=progress)


def _is_at_work() -> bool:
    """Whether any worker has a step in hand."""
    from kombu.exceptions import OperationalError

    from ssmd.celery import app

    try:
        inspect = app.control.inspect(timeout=1.0)
        in_hand = [inspect.active() or {}, inspect.reserved() or {}]
    except (OperationalError, OSError):
        return False
    return any(task["name"] == STEP_TASK for found in in_hand for tasks in found.values() for task in tasks)


def _somebody_takes(queue: str) -> bool:
    from kombu.exceptions import OperationalError

    from ssmd.celery import app

    try:
        queues = app.control.inspect(timeout=0.5).active_queues() or {}
    except (OperationalError, OSError):
        return False
    return any(one["name"] == queue for found in queues.values() for one in found)
