"""How every process of ours starts, logs and stops."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeVar

import structlog
import uvloop

from registry.refusal import Refused

Job = Callable[[asyncio.Event], Awaitable[None]]
Done = TypeVar("Done")

# Ctrl-C reaches the whole terminal group and a supervisor then signals as well: that is one request, not two.
SAME_REQUEST_SECONDS = 1.0


def run(component: str, *jobs: Job) -> None:
    """A process's main: logs as `component`, ends with its jobs.

    If one of them fails it exits with that failure's `exit_code`, or 1.
    """
    configure_logging(component)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_until_stopped(*jobs))
    except ExceptionGroup as failures:
        refused, others = failures.split(Refused)
        if refused is not None and others is None:
            raise _first(refused) from None
        structlog.get_logger().error("ended by a failure", exc_info=failures)
        sys.exit(getattr(_first(failures), "exit_code", 1))


async def run_until_stopped(*jobs: Job) -> None:
    """Run `jobs` until SIGTERM, SIGINT or SIGHUP: each is given the event that says when to come to its end.

    The first job to fail cancels the others and its exception is raised (in an ExceptionGroup); the first to return
    asks the others to come to their end too, so that nothing goes on half alive.
    """
    stop = asyncio.Event()
    with _Signals(stop):
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(_run_job(job, stop), name=getattr(job, "__qualname__", None))


async def comes_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set in time.

    Not by asyncio.wait_for: before Python 3.12 it may swallow a cancellation, and its caller then goes on for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def stay_cancelled() -> None:
    """Cancel again what a library's call may have swallowed; raises CancelledError."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _run_job(job: Job, stop: asyncio.Event) -> None:
    try:
        await job(stop)
    except asyncio.CancelledError:
        stay_cancelled()
        raise RuntimeError("ended by a cancellation that nobody asked for") from None
    stop.set()


def result_of(task: "asyncio.Task[Done]") -> Done:
    """The result of a task that is done; one that was cancelled behind our back has failed."""
    if task.cancelled():
        raise RuntimeError(f"the task {task.get_name()!r} was cancelled")
    return task.result()


class Tasks:
    """A TaskGroup's tasks of which none may end before the others: whichever does, ends the process."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._all: list[asyncio.Task[None]] = []
        self._is_over = False

    def start(
        self, name: str, job: Callable[[], Awaitable[None]], *, may_end: asyncio.Event | None = None
    ) -> None:
        """Run `job`; it may come to its end only once `may_end` is set."""
        task = self._group.create_task(self._run(name, job, may_end), name=name)
        if may_end is None:
            self._all.append(task)

    def end(self) -> None:
        """From here on they may all end; those that would not by themselves are cancelled."""
        self._is_over = True
        for task in self._all:
            task.cancel()

    def failed(self) -> None:
        """Something else has failed already: that they end now is its consequence."""
        self._is_over = True

    async def _run(
        self, name: str, job: Callable[[], Awaitable[None]], may_end: asyncio.Event | None
    ) -> None:
        try:
            await job()
        except asyncio.CancelledError:
            if self._is_over:
                raise
            self._is_over = True
            raise RuntimeError(f"the task {name!r} was cancelled") from None
        except BaseException:
            self._is_over = True
            raise
        if may_end is None or not may_end.is_set():
            self._is_over = True
            raise RuntimeError(f"the task {name!r} came to an end")


def _first(failures: BaseExceptionGroup[Any]) -> BaseException:
    one: BaseException = failures
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one


class _Signals:
    """SIGTERM, SIGINT and SIGHUP set `stop`; a second one ends the process there and then."""

    _NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._asked_at: float | None = None

    def __enter__(self) -> None:
        for number in self._NUMBERS:
            self._loop.add_signal_handler(number, self._receive, number)

    def __exit__(self, *_: object) -> None:
        for number in self._NUMBERS:
            self._loop.remove_signal_handler(number)

    def _receive(self, number: int) -> None:
        now = self._loop.time()
        if self._asked_at is None:
            self._asked_at = now
            self._stop.set()
        elif now - self._asked_at > SAME_REQUEST_SECONDS:
            os._exit(128 + number)  # whatever is lost by this, kill -9 would lose too: nothing


def configure_logging(component: str, *, level: int = logging.INFO) -> None:
    """Every log line, of ours and of libraries: one JSON object on stdout with level, ts, component and msg."""
    before: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("msg"),
        _front_keys(component),
    ]
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request with its URL


def _front_keys(component: str) -> structlog.typing.Processor:
    def order(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        front = {"level": event["level"], "ts": event["ts"], "component": component, "msg": event["msg"]}
        return {**front, **event}

    return order
