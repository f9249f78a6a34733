"""What the F faults share: a session's capture log, a shipper, and a real store behind a proxy that fails as told."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from archive.objects import Store
from archive.retry import Patience
from archive.s3_store import S3Store
from archive.shipper import Shipper, ShipperConfig
from registry.refusal import Refused
from streaming import marks
from streaming.capture_log import CaptureLog
from streaming.records import Kind
from tests.archive.conftest import start_mark
from tests.chaos import seaweed
from tests.chaos.faulty_s3 import FaultyS3
from tests.faults.proof import Outcome, watched
from tests.oracle import Sent, judge_archive, read_archive
from tests.oracle_input import sent_on

PART_BYTES = 5 * 1024 * 1024
# One attempt, and nobody who tries again: what a store looks like to a program that handles nothing.
NONE = Patience(attempts=1)
SOME = Patience(attempts=5, seconds=20, first_wait=0.01)


@dataclass
class Told:
    """What one life of a fault gathers; `outcome` reads the archive past the proxy."""

    bench: "Bench"
    feed: str = field(default_factory=lambda: f"f-{uuid4().hex[:10]}")
    sent: list[Sent] = field(default_factory=list)
    also: list[str] = field(default_factory=list)

    @property
    def capture(self) -> Path:
        return self.bench.folder / self.feed

    def record(self, *, count: int = 30, frames: Sequence[bytes] | None = None, name: str = "") -> str:
        """A session's log, begun and ended; the session's name."""
        connection = len({one.connection for one in self.sent}) + 1
        session = name or f"{self.feed}-{connection}"
        self.capture.mkdir(parents=True, exist_ok=True)
        log = CaptureLog(self.capture / session, environment="demo", session=session)
        log.mark(start_mark())
        log.mark(marks.ConnectionOpen(connection), connection=connection)
        for frame in frames or sent_on(connection, count=count):
            log.append(frame, kind=Kind.TEXT, connection=connection)
            self.sent.append(Sent(connection, frame))
        log.mark(marks.ConnectionClose(connection, 1000, ""), connection=connection)
        log.mark(marks.SessionEnd("stopped"))
        log.close()
        return session

    def ship(
        self, store: Store, *, patient: bool = True, seconds: float = 15, **options: Any
    ) -> Exception | None:
        """Run a shipper until every session is committed; an impatient one gives up at the first trouble."""
        halt = threading.Event()
        config = ShipperConfig(
            environment="demo", feed=self.feed, capture=self.capture, store=store, version="0.1.0", **options
        )
        shipper = Shipper(config, halt)
        if not patient:
            halt.set()
        raised: list[Exception] = []
        work = threading.Thread(
            target=_caught, args=(shipper.work if patient else lambda: _once(shipper), raised)
        )
        work.start()
        deadline = time.monotonic() + seconds
        while work.is_alive() and time.monotonic() < deadline and not _is_done(shipper):
            time.sleep(0.01)
        halt.set()
        work.join(20)
        for _, lock in shipper._sessions.values():
            lock.release()
        return raised[0] if raised else None

    def outcome(self, risen: dict[str, float], *, through: Store | None = None) -> Outcome:
        """The archive's gap rows (they follow from its marks), the metrics and the oracle's verdict."""
        archive = read_archive(through or self.bench.behind(), self.feed)
        gaps = tuple(mark.cause for session in archive for _, mark in session.gaps)
        return Outcome(gaps, risen, tuple(judge_archive(self.sent, archive).faults), tuple(self.also))


def _caught(act: Callable[[], object], raised: list[Exception]) -> None:
    try:
        act()
    except Exception as error:  # the test looks at it
        raised.append(error)


def _once(shipper: Shipper) -> None:
    shipper._committer.bind()
    shipper.step()
    shipper._finish()


def _is_done(shipper: Shipper) -> bool:
    sessions = [session for session, _ in list(shipper._sessions.values())]
    return bool(sessions) and all(session.ended_ns is not None for session in sessions)


@dataclass
class Bench:
    """A store, the proxy before it, and a folder of its own."""

    folder: Path
    proxy: FaultyS3
    upstream: seaweed.Seaweed

    def store(self, patience: Patience = SOME, *, bucket: str = seaweed.BUCKET, **options: Any) -> S3Store:
        """The bucket through the proxy."""
        key = options.pop("credentials", lambda: seaweed.KEY)
        place = seaweed.Seaweed(self.proxy.url).bucket(
            bucket,
            read_seconds=options.pop("read_seconds", 2.0),
            checksums=options.pop("checksums", "when_supported"),
        )
        return S3Store(place, key, patience=patience, part_bytes=PART_BYTES, **options)

    def behind(self, bucket: str = seaweed.BUCKET) -> S3Store:
        """The same bucket past the proxy: what really is there."""
        return S3Store(self.upstream.bucket(bucket), lambda: seaweed.KEY)

    @contextmanager
    def life(self) -> Iterator[tuple[Told, dict[str, float]]]:
        """One life of a fault: the proxy is well-behaved again at its end."""
        self.proxy.tell()
        try:
            with watched() as risen:
                yield Told(self), risen
        finally:
            self.proxy.tell()


@contextmanager
def open_bench(folder: Path) -> Iterator[Bench]:
    """SeaweedFS behind a proxy."""
    upstream = seaweed.running()
    with FaultyS3(upstream.url, key=seaweed.KEY) as proxy:
        yield Bench(folder, proxy, upstream)


def store_metric(operation: str, result: str) -> str:
    """As /metrics shows it."""
    return f'ssmd_store_operations_total{{operation="{operation}",result="{result}",store="s3"}}'


def refusal(error: Exception | None, *, exit_code: int, says: str) -> list[str]:
    """What is wrong with a refusal, if it is none or says something else."""
    if not isinstance(error, Refused):
        return [f"not refused, but {error!r}"]
    wrong = [] if error.exit_code == exit_code else [f"exit code {error.exit_code} instead of {exit_code}"]
    return wrong + ([] if says in str(error) else [f"{says!r} is not said in {error}"])
