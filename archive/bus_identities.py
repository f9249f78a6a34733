"""Which events of a day the archiver saw on the bus: what a seal compares raw with."""

from archive.identities import IdentitySet
from archive.seal_manifest import Plan
from archive.store import Store


def of_provisional(store: Store, plan: Plan) -> IdentitySet | None:
    """The identities in the day's provisional parts, as far as the plan reaches; None where there are no parts."""
    return None
