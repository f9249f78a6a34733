"""Makes a day final: plan, outputs, commit. Each step can be repeated, resumed, or done by several at once without harm."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog

from archive import layout, seal_manifest
from archive.bus_identities import see_bus
from archive.continuity import Following, following
from archive.day_lines import hours_of
from archive.files import Damaged
from archive.gaps import losses
from archive.identities import IdentitySet
from archive.layout import PartKey
from archive.plan import plan_day
from archive.seal_events import seal_shard
from archive.seal_manifest import (
    BusSeen,
    DayManifest,
    Plan,
    RawHour,
    SealedFile,
    SessionSpan,
    Shard,
    replaced_by,
)
from archive.seal_raw import joined, seal_hour
from archive.seal_steps import Step as Step
from archive.seal_steps import bus_report, raw_report, shard_report
from archive.seal_sums import connector_version, diff_of, quality_of
from archive.session_marks import SessionMark
from archive.store import OtherContent, Store, bind_owner
from archive.stored_identities import read_identities
from streaming import failpoints, marks
from streaming.wire import SCHEMA_FOLDER

log = structlog.get_logger()

CHAIN_DAYS = 366  # how far back the last sealed day is looked for


@dataclass(frozen=True, slots=True)
class Archive:
    """Both archives of an environment; `work` is a folder for what does not fit into memory."""

    feed: str
    environment: str
    raw: Store
    normalized: Store
    work: Path
    code_version: str


Runner = Callable[[Archive, Plan, list[Step]], None]


def in_this_process(archive: Archive, plan: Plan, steps: list[Step]) -> None:
    """One step after another."""
    for step in steps:
        do_step(archive, plan.date, plan.version, step)


def seal_day(
    archive: Archive,
    on: date,
    *,
    now_ns: int,
    again: bool = False,
    mapper: str = "",
    rebuild: bool = False,
    told: Sequence[PartKey] = (),
    run: Runner = in_this_process,
) -> DayManifest:
    """Seal what there is of a day as its next version; raises NothingNew, NothingRecorded, Damaged, StoreError.

    `mapper` is the id that the feed version in force on that day names; without it, each day's wire has its own.
    `rebuild`: make sealed raw files that are gone or damaged from their parts again, while these are there.
    `told`: the day's parts as the registry knows them, asked before: each record of them must be there.
    """
    for store in (archive.raw, archive.normalized):
        bind_owner(store, archive.feed, archive.environment)
    failpoints.reach("seal.before_plan")
    plan, base = plan_day(
        archive.raw,
        archive.feed,
        archive.environment,
        on,
        now_ns=now_ns,
        again=again,
        mapper=mapper,
        rebuild=rebuild,
        told=told,
    )
    failpoints.reach("seal.after_plan")
    run(archive, plan, steps_of(plan, base))
    failpoints.reach("seal.before_verify")
    manifest = _manifest(archive, plan, base, today=layout.day_of(now_ns))
    failpoints.reach("seal.before_commit")
    key = layout.seal_key(plan.feed, plan.date, plan.version)
    with suppress(OtherContent):  # somebody else sealed the same plan meanwhile: his manifest is as good
        archive.raw.put_if_absent(key, seal_manifest.encode(manifest))
    failpoints.reach("seal.after_commit")
    log.info("day sealed", feed=plan.feed, date=str(on), version=plan.version, rows=manifest.raw_rows)
    return seal_manifest.read(archive.raw, key, DayManifest)


def steps_of(plan: Plan, base: DayManifest | None) -> list[Step]:
    """The work of a plan; the long steps first."""
    return [
        *(Step("shard", number) for number in range(plan.shards)),
        Step("bus", 0),
        *(Step("raw", hour) for hour in hours_of(plan, base)),
    ]


def do_step(archive: Archive, on: date, version: int, step: Step) -> None:
    """Do one step of a committed plan, here."""
    plan = seal_manifest.read(archive.raw, layout.plan_key(archive.feed, on, version), Plan)
    base = None
    if plan.base:
        base = seal_manifest.read(archive.raw, layout.seal_key(archive.feed, on, plan.base), DayManifest)
    if step.kind == "bus":
        see_bus(archive.raw, archive.normalized, plan)
    elif step.kind == "raw":
        seal_hour(archive.raw, plan, base, step.number)
    else:
        work = archive.work / f"{archive.feed}-{on}-{version}"
        seal_shard(
            archive.raw,
            archive.normalized,
            plan,
            base,
            step.number,
            work=work,
        )


def _manifest(archive: Archive, plan: Plan, base: DayManifest | None, *, today: date) -> DayManifest:
    """The day manifest: all that the steps made, after it was checked to add up to the plan."""
    steps = steps_of(plan, base)
    hours = [raw_report(archive.raw, plan, step) for step in steps if step.kind == "raw"]
    shards = [shard_report(archive.raw, plan, step) for step in steps if step.kind == "shard"]
    raw = [file for hour in hours for file in hour.files]
    spans = joined(span for hour in hours for span in hour.spans)
    _require_all(plan, raw, spans)
    kept = [mark for hour in hours for mark in hour.marks]
    at = [SessionMark(mark.session, mark.n, mark.recv_ns, mark.at().decode()) for mark in kept]
    lost, unexpected = bus_losses(
        archive.raw, bus_report(archive.raw, plan), shards, is_partial=plan.is_partial
    )
    previous, previous_date = _previous(archive.raw, plan)
    events = Counter[str]()
    for shard in shards:
        events.update(shard.rows)
    return DayManifest(
        feed=plan.feed,
        environment=plan.environment,
        date=plan.date,
        version=plan.version,
        base=plan.base,
        is_partial=plan.is_partial,
        plan_sha256=hashlib.sha256(_plan_data(archive.raw, plan)).hexdigest(),
        sealed_ns=plan.planned_ns,
        code_version=archive.code_version,
        schema=plan.schema,
        schema_sha256=schema_sha256(plan.schema),
        mappers=sorted({mapper for shard in shards for mapper in shard.mappers}),
        environment_versions=_environment_versions(at),
        raw=raw,
        shards=shards,
        spans=spans,
        unfinished=_unfinished(spans, at, following(archive.raw, plan.feed, plan.date, today=today)),
        marks=kept,
        gaps=_gaps(at),
        raw_rows=sum(file.rows for file in raw),
        raw_bytes=sum(file.raw_bytes for file in raw),
        stored_bytes=sum(file.stored_bytes for file in raw),
        events=dict(sorted(events.items())),
        markets=sum(shard.markets for shard in shards),
        first_recv_ns=min(file.first_recv_ns for file in raw),
        last_recv_ns=max(file.last_recv_ns for file in raw),
        connector_version=connector_version(plan, base),
        overlap=sum(shard.overlap for shard in shards),
        nats_lost=lost,
        nats_unexpected=unexpected,
        quality=quality_of(one for shard in shards for one in shard.quality),
        diff=diff_of(archive.normalized, base, shards),
        previous=previous,
        previous_date=previous_date,
        replaced=_replaced(hours, shards) or msgspec.UNSET,
    )


def _plan_data(store: Store, plan: Plan) -> bytes:
    """As it was committed: another version of this program may have written it."""
    return store.get(layout.plan_key(plan.feed, plan.date, plan.version))


def schema_sha256(schema: str) -> str:
    """SHA-256 of a schema's text, as the registry states it."""
    return hashlib.sha256((SCHEMA_FOLDER / f"market_data.{schema}.capnp").read_bytes()).hexdigest()


def _require_all(plan: Plan, raw: list[SealedFile], spans: list[SessionSpan]) -> None:
    """Every planned record is in the outputs exactly once."""
    rows = sum(last_n - first_n + 1 for first_n, last_n in plan.sessions.values())
    of_files = sum(file.rows for file in raw)
    if rows != of_files:
        raise Damaged(f"the plan of {plan.date} has {rows} records, its files have {of_files}")
    found = {span.session: (span.first_n, span.last_n) for span in spans}
    if found != plan.sessions:
        raise Damaged(f"the files of {plan.date} hold {found}, the plan names {plan.sessions}")


def _environment_versions(at: Iterable[SessionMark]) -> list[int]:
    starts = (one.mark for one in at if isinstance(one.mark, marks.SessionStart))
    return sorted({start.environment_version for start in starts})


def _unfinished(spans: list[SessionSpan], at: Iterable[SessionMark], after: Following) -> list[str]:
    """Sessions without an end that no later day goes on with at the next record: more of this day may come."""
    ended = {one.session for one in at if isinstance(one.mark, marks.SessionEnd)}
    open_ = [span for span in spans if span.session not in ended]
    return [span.session for span in open_ if after.first_n.get(span.session) != span.last_n + 1]


def _gaps(at: list[SessionMark]) -> list[dict[str, Any]]:
    """The losses that began on this day, as its own marks tell them."""
    return [
        {
            "session": loss.session,
            "number": loss.number,
            "cause": loss.mark.cause,
            "from_ns": loss.start_ns,
            "to_ns": loss.end_ns,
            "planned": loss.mark.planned,
            "tickers": loss.mark.tickers,
        }
        for loss in losses(at)
    ]


def bus_losses(
    store: Store, seen: BusSeen, shards: list[Shard], *, is_partial: bool
) -> tuple[int | None, int]:
    """How many events raw has and the bus's archive has not, and the other way round."""
    if not seen.parts:
        return None, 0
    provisional, sealed = read_identities(store, seen.identities), IdentitySet()
    for shard in shards:
        sealed.merge(read_identities(store, shard.identities))
    # While the day goes on, the bus's archive is some seconds behind: what comes after its last event is no loss.
    reached = sealed.up_to(provisional.last_n()) if is_partial else sealed
    return len(reached.without(provisional)), len(provisional.without(sealed))


def _replaced(hours: list[RawHour], shards: list[Shard]) -> list[str]:
    made: list[RawHour | Shard] = [*hours, *shards]
    return sorted(key for step in made for key in replaced_by(step))


def _previous(store: Store, plan: Plan) -> tuple[str, date | None]:
    """The manifest that this one is chained to: that of the last sealed day before."""
    for back in range(1, CHAIN_DAYS + 1):
        on = plan.date - timedelta(days=back)
        if found := seal_manifest.versions(store, plan.feed, on):
            data = store.get(layout.seal_key(plan.feed, on, found[-1]))
            return hashlib.sha256(data).hexdigest(), on
    return "", None
