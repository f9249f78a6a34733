"""Which events of a day the archiver saw on the bus: what a seal compares raw with."""

import hashlib

import structlog

from archive import layout, seal_manifest
from archive.files import Damaged
from archive.identities import IdentitySet
from archive.normalized_read import part_keys, read_manifest, read_part
from archive.seal_manifest import BusSeen, Plan
from archive.store import Store
from archive.stored_identities import put_identities
from streaming.glance import glance
from streaming.wire import WireError

log = structlog.get_logger()


def see_bus(raw: Store, normalized: Store, plan: Plan) -> BusSeen:
    """Read the day's provisional parts, of a day that goes on as far as the plan reaches, and commit which events they hold."""
    key = layout.step_key(plan.feed, plan.date, plan.version, "bus")
    done = seal_manifest.read_if_there(raw, key, BusSeen)
    if done is not None:
        return done
    found, keys, damaged = IdentitySet(), part_keys(normalized, plan.feed, plan.schema, plan.date), 0
    for part in keys:
        try:
            for token, message in read_part(normalized, read_manifest(normalized, part)):
                if token != "gap":  # noqa: S105
                    _take(found, plan, token, message)
        except (Damaged, WireError) as error:  # what it held counts as lost by the bus: raw has it
            log.error("provisional part not readable", key=part.manifest, error=str(error))
            damaged += 1
    # Unlike raw, this archive goes on growing under a plan: whoever looks again sees more, and the first report counts.
    name = f"bus-{hashlib.sha256(found.encode()).hexdigest()[:16]}"
    report = BusSeen(parts=len(keys), damaged=damaged, identities=put_identities(raw, plan, name, found))
    return seal_manifest.put_report(raw, key, report)


def _take(found: IdentitySet, plan: Plan, token: str, message: bytes) -> None:
    seen = glance(token, message)
    # While the day goes on, raw is some seconds behind. Afterwards what only the bus has is late, or lost by raw.
    if not plan.is_partial or seen.n <= plan.sessions.get(seen.session, (0, 0))[1]:
        found.add(seen.session, seen.n, seen.k)
