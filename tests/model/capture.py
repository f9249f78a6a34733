"""From the socket to raw parts: the connector with its log and its publisher, and the shipper.

Each process is a set of generators that share its memory; it is killed by dropping them.
"""

from collections.abc import Generator
from typing import NamedTuple

from tests.model.design import Design
from tests.model.log import Log, Trimmed
from tests.model.world import Event, OtherContent, Record, Steps, World, put

PART_RECORDS = 5
WINDOW = 4


class Process:
    """Tasks that die together, and with them their locks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tasks: list[Steps] = []
        self.log: Log | None = None
        self.is_stopping = self.has_written_end = False

    def step(self) -> None:
        """One step of one task."""
        if not self.tasks:
            return
        index = int(self.world.random.random() * len(self.tasks))
        try:
            next(self.tasks[index])
        except StopIteration:
            self.tasks.pop(index)
            if not self.tasks:
                self.release()

    def kill(self) -> None:
        """SIGKILL: half a record may stay behind."""
        self.tasks = []
        for log in self.world.logs:
            if log.writer is self and self.world.happens(0.3, "torn tail"):
                log.tear()
        self.release()

    def release(self) -> None:
        """What the kernel does for a process that is gone."""
        for log in self.world.logs:
            if log.writer is self:
                log.writer = None
            if log.shipper is self:
                log.shipper = None


# The connector


def start_connector(world: World) -> Process:
    """A session: a new one starts while the old still runs, if the schedule says so."""
    process = Process(world)
    process.tasks = [_begin(world, process)]
    return process


def _begin(world: World, process: Process) -> Steps:
    notices = []
    for log in list(world.logs):
        if not log.is_removed and world.happens(0.5):
            yield from end_dead_session(world, log, process)
        if (crash := log.crash()) is not None:
            notices.append(Event(crash.session, crash.n, crash.uid))
    yield
    log = process.log = Log(world, len(world.logs) + 1)
    log.writer = process
    world.logs.append(log)
    process.tasks += [_record(log, process), _sync(log), _publish(world, log, process, notices)]


def _record(log: Log, process: Process) -> Steps:
    n = 1
    log.append("start", n)
    while not process.is_stopping:
        yield
        n += 1
        log.append("frame", n)
    yield
    log.append("end", n + 1)
    log.synced = log.last
    process.has_written_end = True


def _sync(log: Log) -> Steps:
    while log.record(log.last) is None or log.whole[log.last].kind != "end":
        last = log.last
        yield
        log.synced = max(log.synced, last)
        yield


def event_of(record: Record) -> Event | None:
    """The mapper: some frames say nothing."""
    return Event(record.session, record.n, record.uid) if record.kind == "frame" and record.n % 5 else None


def _publish(world: World, log: Log, process: Process, notices: list[Event]) -> Steps:
    """A window of unacknowledged events, oldest first; the cursor is its floor."""
    for notice in notices:
        while not world.stream.publish(notice):
            yield
    waiting: dict[int, Event] = {}
    offered = 0
    while not (
        process.has_written_end
        and (world.happens(0.05, "drain given up") or (offered == log.last and not waiting))
    ):
        yield
        if waiting and (len(waiting) >= WINDOW or world.happens(0.5)):
            _send(world, waiting, next(iter(waiting)))
        else:
            offered = _offer_next(world, log, waiting, offered)
        if world.happens(0.3):
            log.published = _floor(world.design, waiting, offered)
    log.published = _floor(world.design, waiting, offered)


def _offer_next(world: World, log: Log, waiting: dict[int, Event], offered: int) -> int:
    try:
        records = log.read(offered + 1, 1)
    except Trimmed:
        world.bad("the publisher's log was trimmed before it read it")
        return log.last
    for record in records:
        if event := event_of(record):
            waiting[record.n] = event
            _send(world, waiting, record.n)
    return offered + len(records)


def _send(world: World, waiting: dict[int, Event], n: int) -> None:
    if world.stream.publish(waiting[n]):
        del waiting[n]


def _floor(design: Design, waiting: dict[int, Event], offered: int) -> int:
    if waiting and design.published_means_acknowledged:
        return min(waiting) - 1
    return offered


def end_dead_session(world: World, log: Log, process: Process) -> Steps:
    """Crash mark and end mark, by whoever gets the writer's lock first."""
    design = world.design
    if design.connector_writes_end_marks_under_lock and log.writer is not None:
        return
    if log.last_record() is None or log.has_ended:
        return
    before, log.writer = log.writer, process
    if design.torn_tail_is_cut:
        log.cut_tail()
    last, n = log.last_record(), log.last
    if last is not None and (last.kind != "crash" or not design.end_mark_follows_crash_mark_once):
        n += 1
        log.append("crash", n)
        yield
    log.append("end", n + 1)
    log.synced = log.last
    log.writer = before


# The shipper


def start_shipper(world: World) -> Process:
    """Follows every session that it gets the lock of."""
    process = Process(world)
    process.tasks = [_keep_house(world, process)]
    return process


def _keep_house(world: World, process: Process) -> Steps:
    following: set[int] = set()
    while True:
        yield
        for log in world.logs:
            if log.is_removed or log.session in following or not log.last:
                continue
            if log.shipper is None or not world.design.shipper_lock_is_respected:
                log.shipper = process
                following.add(log.session)
                process.tasks.append(_ship(world, log, process))


def _ship(world: World, log: Log, process: Process) -> Steps:
    try:
        missing = yield from _missing_in_store(world, log)
        shipped = missing[0].first_n - 1
        while not log.is_removed:
            yield
            if shipped >= log.last and log.has_ended and log.writer is None:
                trim(world.design, log, shipped, is_over=True)
                log.is_removed = world.happens(0.3)
                continue
            if world.is_resting or world.happens(0.2):
                yield from end_dead_session(world, log, process)
            part = _cut(world, log.read(shipped + 1, PART_RECORDS), until_n=missing[0].last_n)
            if part:
                yield from _commit(world, log, part)
                shipped = part[-1].n
                if shipped == missing[0].last_n:
                    del missing[0]
                    shipped = missing[0].first_n - 1
                yield
                log.shipped = shipped
                trim(world.design, log, shipped, is_over=False)
    except OtherContent:
        world.bad("a session is blocked: the archive holds other content")
    except Trimmed:
        if world.design.shipper_lock_is_respected:
            world.bad("a session is blocked: the log was trimmed before it was shipped")


def _cut(world: World, records: list[Record], *, until_n: int | None) -> list[Record]:
    """The next part, as long as chance and the rules have it; nothing while it is not due."""
    whole = [record for record in records if until_n is None or record.n <= until_n]
    if world.design.parts_end_at_midnight:
        whole = [record for record in whole if record.day == whole[0].day]
    is_cut = len(whole) < len(records) or len(whole) == PART_RECORDS or bool(whole and whole[-1].n == until_n)
    is_due = is_cut or bool(whole and whole[-1].kind == "end") or world.is_resting or world.happens(0.3)
    return whole if is_due else []


class Missing(NamedTuple):
    """Records that no committed part holds; the last of them has no end."""

    first_n: int
    last_n: int | None


def _missing_in_store(world: World, log: Log) -> Generator[None, None, list[Missing]]:
    """What the store lacks, from where the log begins: holes between parts, and all behind them."""
    design, store = world.design, world.store
    if not design.position_is_the_stores:
        return [Missing(log.shipped + 1, None)]
    first, last = log.first, log.last_record()
    if last is None:
        return [Missing(first, None)]
    spans = [key[2:] for key in store.kinds["part"] if key[1] == log.session]
    yield
    if design.position_reads_seals:
        seals = store.kinds["seal"].values()
        spans += [span[1:] for seal in seals for span in seal.spans if span[0] == log.session]
    missing, next_n = [], first
    for begin, end in sorted(spans):
        if begin > next_n:
            missing.append(Missing(next_n, begin - 1))
        next_n = max(next_n, end + 1)
    if next_n > last.n + 1:
        raise OtherContent
    if missing and not design.holes_are_filled_exactly:
        return [Missing(missing[0].first_n, None)]
    return [*missing, Missing(next_n, None)]


def _commit(world: World, log: Log, part: list[Record]) -> Steps:
    design = world.design
    if design.log_is_durable_before_commit:
        log.synced = max(log.synced, part[-1].n)
        yield
    key = (part[0].day, log.session, part[0].n, part[-1].n)
    kinds = {"data": tuple(part), "part": tuple(one for one in part if one.kind == "crash")}
    for kind in ("data", "part") if design.data_before_manifest else ("part", "data"):
        yield from put(world, kind, key, kinds[kind])
        yield
        if not design.trim_waits_for_commit:
            trim(design, log, part[-1].n, is_over=False)


def trim(design: Design, log: Log, shipped: int, *, is_over: bool) -> None:
    """Delete segments that nobody needs any more."""
    is_needed_by_none = is_over or not design.trim_waits_for_publish
    needed_after = shipped if is_needed_by_none else min(shipped, log.published)
    log.delete_segments(needed_after)
