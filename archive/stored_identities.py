"""Sets of identities beside a seal's plan, where its last step compares them."""

import hashlib

from archive import identities, layout
from archive.identities import IdentitySet
from archive.rows import StoredRows, compress, pieces, put_rows
from archive.seal_manifest import Plan
from archive.store import Store

LEVEL = 3


def put_identities(store: Store, plan: Plan, name: str, found: IdentitySet) -> StoredRows:
    """Store a set once."""
    rows = found.encode()
    data = compress(rows, level=LEVEL)
    stored = StoredRows(
        key=f"{layout.seal_prefix(plan.feed, plan.date)}{plan.version:04d}.identities-{name}.zst",
        rows=len(found),
        raw_bytes=len(rows),
        stored_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        sha256_rows=hashlib.sha256(rows).hexdigest(),
    )
    return put_rows(store, stored, data)


def read_identities(store: Store, stored: StoredRows) -> IdentitySet:
    """The set, verified; raises Damaged."""
    return identities.decode(b"".join(pieces(store, stored)))
