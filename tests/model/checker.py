"""What must be true when everything has come to rest."""

from tests.model.bus import provisional
from tests.model.capture import event_of
from tests.model.log import Log
from tests.model.sealing import (
    SHARDS,
    Identified,
    Overlap,
    at_once,
    is_covered,
    latest,
    parts_of,
    read_day,
    rows_of,
)
from tests.model.world import Event, Gone, Record, World


def check(world: World, *, is_sealed: bool) -> None:
    """Add a verdict for each kind of thing that is wrong."""
    found: Identified = {}
    for day in range(1, world.day + 1):
        found |= _check_day(world, day, is_sealed=is_sealed)
    _check_every_record(world, found)
    touched = {world.appended[uid].session for uid in world.deleted}
    for log in world.logs:
        if log.session not in touched:
            _check_session(world, log, found)
    _check_seals(world, found)
    _check_bus(world, found)
    if not touched:
        _check_rows(world)


def _check_day(world: World, day: int, *, is_sealed: bool) -> Identified:
    found = None
    try:
        found = at_once(read_day(world, day))
    except Overlap:
        world.bad("a day cannot be read: its parts overlap")
    except Gone:
        world.bad("a day cannot be read: a sealed output is missing")
    if found is None:
        world.bad("a day cannot be read")
        return {}
    if any(record.day != day for record in found.values()):
        world.bad("a record lies in another day than its own")
    if is_sealed:
        version = latest(world, day)
        spans = world.store.kinds["seal"][day, version].spans if version else ()
        if not all(is_covered(spans, part) for part in parts_of(world, day)):
            world.bad("a late part is in no sealed version")
    return found


def _check_every_record(world: World, found: Identified) -> None:
    """In the readers' view as it was written, or taken by a power loss that a crash mark discloses."""
    crashes = {one.session: one.n for one in found.values() if one.kind == "crash"}
    touched = {world.appended[uid].session for uid in world.deleted}
    without_trace = {log.session for log in world.logs if not log.last}
    for uid, record in world.appended.items():
        there = found.get(record.identity)
        if uid not in world.lost:
            if there is None and uid in world.deleted:
                world.suspicious["a record of a deleted manifest that the log no longer had"] += 1
            elif there is None or there.uid != uid:
                world.bad("a record is lost")
        elif there is not None and there.uid == uid:
            world.bad("the archive has what the log has lost")
        elif record.session in without_trace:
            world.suspicious["a power loss before the first sync leaves a session without any mark"] += 1
        elif record.session not in touched and record.n < crashes.get(record.session, record.n + 1):
            world.bad("a loss is not disclosed")


def _check_session(world: World, log: Log, found: Identified) -> None:
    kinds = [one.kind for _, one in sorted(found.items()) if one.session == log.session]
    if log.last and (kinds[-1:] != ["end"] or kinds.count("end") > 1 or kinds.count("crash") > 1):
        world.bad("a session has not one end")


def _check_seals(world: World, found: Identified) -> None:
    """Each version is the function of its inputs: of its spans, since a number has one content."""
    kinds = world.store.kinds
    for (day, version), seal in kinds["seal"].items():
        raw = [found.get((s, n)) for s, first, last in seal.spans for n in range(first, last + 1)]
        records = sorted(record for record in raw if record is not None)
        expected: dict[str, tuple[Record, ...] | tuple[Event, ...]] = {
            "even": tuple(one for one in records if one.n % 2 == 0),
            "odd": tuple(one for one in records if one.n % 2),
            "normalized": tuple(event for one in records if (event := event_of(one))),
        }
        if any(kinds["output"].get((day, version, shard)) != expected[shard] for shard in SHARDS):
            world.bad("a sealed version is not the function of its plan")


def _check_bus(world: World, found: Identified) -> None:
    kept = provisional(world)
    if len(kept) != len(set(kept)):
        world.bad("an event is twice in the provisional archive")
    notices = {Event(*one.identity, one.uid) for one in found.values() if one.kind == "crash"}
    final = notices | {event for one in found.values() if (event := event_of(one))}
    beyond = {event for event in kept if event not in final}
    if any(event.uid not in world.lost | world.deleted for event in beyond):
        world.bad("the provisional archive has what the final one lacks")
    if beyond:
        world.suspicious["an event on the bus whose frame a power loss took"] += len(beyond)
    if not {message.event for message in world.stream.messages} <= set(kept):
        world.bad("the archiver passed over a message")
    published = {log.session: log.published for log in world.logs}
    for record in world.appended.values():
        event = event_of(record)
        is_due = event is not None and record.n <= published[record.session] and record.uid not in world.lost
        if is_due and event not in world.stream.stored:
            world.bad("the publish cursor is ahead of the bus")


def _check_rows(world: World) -> None:
    gaps: dict[tuple[int, int], int] = {}
    for day in range(1, world.day + 1):
        rows = rows_of(world, day)
        next(rows)
        try:
            next(rows)
        except StopIteration as done:
            gaps |= done.value[0]
            if world.part_rows.get(day, ()) != done.value[1]:
                world.bad("the rows of a day differ from those of an empty database")
    if gaps != world.gap_rows:
        world.bad("gap rows differ from those of an empty database")
