"""Where objects are kept: opens the store that an environment names, and binds its owner."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import msgspec

from archive.directory_store import DirectoryStore
from archive.layout import owner_key
from archive.objects import ObjectInfo, ObjectMissing, OtherContent, Store, StoreError
from registry.environment_file import Store as StoreSpec
from registry.refusal import ExitCode, Reason, Refused

__all__ = [
    "DirectoryStore",
    "ObjectInfo",
    "ObjectMissing",
    "OtherContent",
    "Store",
    "StoreError",
    "bind_owner",
    "open_store",
    "remove_leftovers",
    "store_usable",
]

# The environment's secret for its buckets, and the keys in it.
SECRET, SECRET_KEYS = "s3", ("access_key", "secret_key")


def open_store(spec: StoreSpec, home: Path, *, secrets: Mapping[str, str] = MappingProxyType({})) -> Store:
    """The store that an environment names; a relative path lies under `home`. A bucket is reached at its first use."""
    if spec.path:
        return DirectoryStore(home / spec.path)
    return _bucket(spec, secrets.get(SECRET, ""))


def _bucket(spec: StoreSpec, reference: str) -> Store:
    if not reference:
        problem = f"The environment keeps data in bucket '{spec.bucket}', and names no secret for it"
        remedy = f"Add under spec.secrets: `{SECRET}: sealed-secret/s3-creds`, with the keys access_key, secret_key."
        raise Refused([Reason(problem, remedy)])

    from archive.s3_connection import Bucket  # boto3 takes half a second: only who has a bucket pays for it
    from archive.s3_store import S3Store
    from registry.secrets import resolve

    def credentials() -> tuple[str, str]:
        found = resolve(reference, SECRET_KEYS)
        return found["access_key"].reveal(), found["secret_key"].reveal()

    bucket = Bucket(
        name=spec.bucket,
        endpoint=spec.endpoint if "://" in spec.endpoint else f"https://{spec.endpoint}",
        region=spec.region,
        path_style=spec.path_style,
        checksums=spec.checksums,
    )
    credentials()  # a secret that is not there is said now, not at the first part
    return S3Store(bucket, credentials)


def bind_owner(store: Store, feed: str, environment: str) -> None:
    """Bind a feed's prefix to one environment for ever; refused if it is another's."""
    key = owner_key(feed)
    try:
        store.put_if_absent(key, owner_line(feed, environment))
    except OtherContent:
        owner = _owner_in(store.get(key))
        problem = f"The archive of feed '{feed}' belongs to environment '{owner}', not to '{environment}'"
        remedy = "Give this environment a storage path of its own."
        raise Refused([Reason(problem, remedy)], exit_code=ExitCode.CONFLICT) from None


def store_usable(store: Store) -> list[Reason]:
    """Why the store cannot be used now; asks a bucket for its capabilities, which writes two small probes."""
    try:
        store.head(owner_key("any"))
        getattr(store, "verifies_digest", None)
    except Refused as refused:
        return list(refused.reasons)
    except StoreError as error:
        return [Reason(f"The store cannot be used now: {error}", "Try again when it answers.")]
    return []


def owner_line(feed: str, environment: str) -> bytes:
    """What binds a feed's prefix to an environment."""
    return msgspec.json.encode({"environment": environment, "feed": feed}) + b"\n"


def _owner_in(line: bytes) -> str:
    """Who it is, as far as a damaged line still says so."""
    try:
        return msgspec.json.decode(line, type=dict[str, str]).get("environment", "?")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "? (its _owner.json is damaged)"


def place_of(store: Store | None, key: str) -> str:
    """Where a key of this store lies, for people and other programs: s3://BUCKET/KEY, or file:///FOLDER/KEY."""
    place = getattr(store, "place", None)
    return str(place(key)) if place else key


def remove_leftovers(store: Store, older_than: timedelta) -> int:
    """Clear away what writers that died left in the store, never an object; returns how much that was."""
    remove = getattr(store, "remove_leftovers", None)
    return remove(older_than) if remove else 0
