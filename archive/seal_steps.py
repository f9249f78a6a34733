"""The steps of a seal: what each leaves in the store once it is done, and that it is read as what it is."""

from typing import NamedTuple

from archive import layout, seal_manifest
from archive.files import Damaged
from archive.seal_manifest import AnyOf, BusSeen, Plan, RawHour, Shard
from archive.store import ObjectMissing, Store


class Step(NamedTuple):
    """One piece of work of a plan: an hour of raw lines, a shard of the tickers, or a look at what the bus had."""

    kind: str
    number: int

    def key(self, plan: Plan) -> str:
        """What is there once the step is done."""
        name = {"raw": f"raw-{self.number:02d}", "shard": f"shard-{self.number:03d}"}.get(
            self.kind, self.kind
        )
        return layout.step_key(plan.feed, plan.date, plan.version, name)


def raw_report(store: Store, plan: Plan, step: Step) -> RawHour:
    """What an hour's step made; raises Damaged."""
    found = _report(store, step.key(plan), RawHour)
    day = layout.day_prefix(plan.feed, plan.date)
    _require_own(
        step, plan, found.hour == step.number and all(file.key.startswith(day) for file in found.files)
    )
    return found


def shard_report(store: Store, plan: Plan, step: Step) -> Shard:
    """What a shard's step made; raises Damaged."""
    found = _report(store, step.key(plan), Shard)
    index = layout.index_file(plan.feed, plan.schema, plan.date, version=plan.version, shard=step.number)
    _require_own(step, plan, found.index.key == index)
    return found


def bus_report(store: Store, plan: Plan) -> BusSeen:
    """What the look at the bus found; raises Damaged."""
    step = Step("bus", 0)
    found = _report(store, step.key(plan), BusSeen)
    _require_own(step, plan, found.identities.key.startswith(layout.seal_prefix(plan.feed, plan.date)))
    return found


def _require_own(step: Step, plan: Plan, is_own: bool) -> None:
    if not is_own:
        raise Damaged(f"{step.key(plan)} is the report of another step")


def _report(store: Store, key: str, kind: type[AnyOf]) -> AnyOf:
    try:
        return seal_manifest.read(store, key, kind)
    except ObjectMissing as error:
        raise Damaged(f"{key} is not there, though its step is said to be done") from error


def report_of(store: Store, plan: Plan, step: Step) -> RawHour | Shard | BusSeen:
    """What a step made; raises Damaged."""
    if step.kind == "raw":
        return raw_report(store, plan, step)
    return shard_report(store, plan, step) if step.kind == "shard" else bus_report(store, plan)
