"""The day's seal: plan, outputs, commit; gc of what a seal covers; readers; the rows that follow from manifests."""

from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple

from tests.model.capture import Process, event_of
from tests.model.world import Event, Gone, OtherContent, Record, Steps, World, put

Span = tuple[int, int, int]  # session, first n, last n
Identified = dict[tuple[int, int], Record]
SHARDS = ("even", "odd", "normalized")


class Plan(NamedTuple):
    """A version's inputs: an earlier version, and the parts that it lacks."""

    base: int
    parts: tuple[Span, ...]


class Seal(NamedTuple):
    """The day manifest."""

    spans: tuple[Span, ...]
    gaps: tuple[Record, ...]


class Overlap(Exception):
    """Two parts hold the same record: nothing says which is right, so the day is refused."""


def start(world: World, work: Callable[[World], Steps]) -> Process:
    """A process that does one kind of work for ever."""
    process = Process(world)
    process.tasks = [work(world)]
    return process


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same numbers in as few spans as can be."""
    found: list[Span] = []
    for session, first, last in sorted(spans):
        if found and found[-1][0] == session and first <= found[-1][2] + 1:
            found[-1] = (session, found[-1][1], max(last, found[-1][2]))
        else:
            found.append((session, first, last))
    return tuple(found)


def is_covered(spans: Iterable[Span], part: Span) -> bool:
    """Whether all of a part lies within."""
    return any(one[0] == part[0] and one[1] <= part[1] and part[2] <= one[2] for one in spans)


def latest(world: World, day: int) -> int:
    """The day's highest committed version; 0 when it has none."""
    found: list[int] = [version for on, version in world.store.kinds["seal"] if on == day]
    return max(found, default=0)


def parts_of(world: World, day: int) -> list[Span]:
    """Its committed parts."""
    return sorted(key[1:] for key in world.store.kinds["part"] if key[0] == day)


def _covered(world: World, day: int, version: int) -> tuple[Span, ...]:
    spans: tuple[Span, ...] = world.store.kinds["seal"][day, version].spans if version else ()
    return spans if world.design.plan_knows_ranges else tuple((one[0], 1, one[2]) for one in spans)


def _add(world: World, into: Identified, records: tuple[Record, ...]) -> None:
    if not world.design.overlaps_are_merged and any(record.identity in into for record in records):
        raise Overlap
    for record in records:
        if into.setdefault(record.identity, record) != record:
            world.bad("one number has two contents")


def _sealed(world: World, day: int, version: int) -> Identified:
    files = [world.store.get("output", (day, version, shard)) for shard in SHARDS[:2]] if version else []
    return {record.identity: record for content in files for record in content}


# The sealer


def sealer(world: World) -> Steps:
    """Seals any day, over or not, again and again."""
    while True:
        yield
        day = world.some_day()
        version = latest(world, day) + 1
        try:
            yield from _seal(world, day, version)
        except Overlap:
            world.bad("a day cannot be sealed: its parts overlap")
        except Gone:
            if version > latest(world, day) or not world.design.sealer_may_be_overtaken:
                world.bad("a day cannot be sealed: an input is gone")
        except OtherContent:
            world.bad("a day cannot be sealed: an output differs")


def _seal(world: World, day: int, version: int) -> Steps:
    design, base = world.design, version - 1
    if base and not design.late_parts_make_a_version:
        return
    plan = world.store.kinds["plan"].get((day, version))
    if plan is None:
        plan = yield from _make_plan(world, day, base)
        if not plan.parts:
            return
        if design.inputs_are_planned:
            plan = yield from _agree_on(world, (day, version), plan)
    if not design.outputs_before_commit:
        yield from _commit(world, day, version, plan)
    for shard in SHARDS:
        yield
        if (day, version, shard) not in world.store.kinds["listed"]:
            if not design.inputs_are_planned:
                plan = yield from _make_plan(world, day, base)
            content = _output(_raw_of(world, day, plan), shard)
            yield from put(world, "output", (day, version, shard), content)
            yield
            yield from put(world, "listed", (day, version, shard), hash(content))
    yield from _commit(world, day, version, plan)


def _make_plan(world: World, day: int, base: int) -> Generator[None, None, Plan]:
    parts = parts_of(world, day)
    yield
    covered = _covered(world, day, base)
    late = tuple(part for part in parts if not is_covered(covered, part))
    if not world.design.plan_knows_ranges and _has_holes(covered, late):
        return Plan(base, ())
    if late and not world.design.version_builds_on_the_sealed:
        return Plan(0, tuple(parts))
    return Plan(base, late)


def _has_holes(covered: Iterable[Span], late: Iterable[Span]) -> bool:
    """As far as last numbers tell: what is missing before a session's first part of the day does not show."""
    last = {session: last_n for session, _, last_n in covered}
    for session, first_n, last_n in late:
        if first_n > last.get(session, first_n - 1) + 1:
            return True
        last[session] = last_n
    return False


def _agree_on(world: World, key: tuple[int, int], plan: Plan) -> Generator[None, None, Plan]:
    try:
        yield from put(world, "plan", key, plan)
    except OtherContent:  # another sealer was faster: its plan holds
        yield
    found: Plan = world.store.get("plan", key)
    return found


def _raw_of(world: World, day: int, plan: Plan) -> list[Record]:
    found = _sealed(world, day, plan.base)
    for part in plan.parts:
        _add(world, found, world.store.get("data", (day, *part)))
    return sorted(found.values())


def _output(raw: list[Record], shard: str) -> tuple[Record, ...] | tuple[Event, ...]:
    if shard == "normalized":
        return tuple(event for record in raw if (event := event_of(record)))
    return tuple(record for record in raw if record.n % 2 == (shard == "odd"))


def _commit(world: World, day: int, version: int, plan: Plan) -> Steps:
    if world.design.outputs_before_commit:
        for shard in SHARDS:  # read back
            if hash(world.store.get("output", (day, version, shard))) != world.store.get(
                "listed", (day, version, shard)
            ):
                raise OtherContent
    base: tuple[Span, ...] = world.store.kinds["seal"][day, plan.base].spans if plan.base else ()
    gaps = [one for one in _raw_of(world, day, plan) if one.kind == "crash" and world.design.seal_keeps_gaps]
    yield
    yield from put(world, "seal", (day, version), Seal(joined((*base, *plan.parts)), tuple(gaps)))


# Clearing away


def gc(world: World) -> Steps:
    """Deletes parts; the seven days that it waits are nothing here."""
    design = world.design
    kinds = ("part", "data") if design.gc_deletes_manifest_first else ("data", "part")
    while True:
        yield
        day = world.some_day()
        covered = _disposable(world, day)
        for part in parts_of(world, day) if covered else ():
            if is_covered(covered, part) or not design.gc_spares_what_the_plan_lacks:
                for kind in kinds:
                    yield
                    world.store.delete(kind, (day, *part))


def _disposable(world: World, day: int) -> tuple[Span, ...]:
    if not world.design.gc_waits_for_commit:
        return tuple(
            part for (on, _), plan in world.store.kinds["plan"].items() if on == day for part in plan.parts
        )
    return _covered(world, day, latest(world, day))


# Readers


def read_day(world: World, day: int) -> Generator[None, None, Identified | None]:
    """The highest sealed version and the parts that it lacks; None where a part was cleared away meanwhile."""
    if world.design.reader_lists_parts_before_seals:
        parts = parts_of(world, day)
        yield
        version = latest(world, day)
    else:
        version = latest(world, day)
        yield
        parts = parts_of(world, day)
    found, covered = _sealed(world, day, version), _covered(world, day, version)
    for part in parts:
        if not is_covered(covered, part):
            yield
            if (day, *part) not in world.store.kinds["data"]:
                return None
            _add(world, found, world.store.get("data", (day, *part)))
    return found


def at_once(read: Generator[None, None, Identified | None]) -> Identified | None:
    """What a reader finds while nobody else moves."""
    while True:
        try:
            next(read)
        except StopIteration as done:
            found: Identified | None = done.value
            return found


def reader(world: World) -> Steps:
    """What could be read once can be read ever after."""
    while True:
        yield
        day = world.some_day()
        try:
            before = at_once(read_day(world, day))
            found = yield from read_day(world, day)
        except Overlap:
            world.bad("a day cannot be read: its parts overlap")
        except Gone:
            world.bad("a day cannot be read: a sealed output is missing")
        else:
            if before is None:
                world.bad("a day cannot be read: a listed part has no data")
            elif found is not None and not before.keys() <= found.keys():
                world.bad("a reader missed what was there before it began")


# Rows


def reindexer(world: World) -> Steps:
    """Keeps the database's rows up with the manifests."""
    while True:
        yield
        day = world.some_day()
        gaps, spans = yield from rows_of(world, day)
        world.gap_rows.update(gaps)
        world.part_rows[day] = spans


Rows = tuple[dict[tuple[int, int], int], tuple[Span, ...]]


def rows_of(world: World, day: int) -> Generator[None, None, Rows]:
    """A day's rows, from manifests alone."""
    kinds = world.store.kinds
    parts = parts_of(world, day)
    marks = [mark for part in parts for mark in kinds["part"][day, *part]]
    yield
    version = latest(world, day)
    sealed: tuple[Span, ...] = ()
    if version:
        seal = kinds["seal"][day, version]
        sealed, marks = seal.spans, [*marks, *seal.gaps]
    return {mark.identity: mark.uid for mark in marks}, joined((*sealed, *parts))
