"""The registry's checks: each returns what is wrong and never acts; and the values a connector starts with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from registry.environment_file import EnvironmentSpec, SymbolFilter
from registry.models import Environment, EnvironmentVersion, Feed, FeedVersion, SchemaVersion
from registry.refusal import Reason, Refused, require
from registry.secrets import secret_usable

# What the connector publishes and the archive's final files are written in.
WRITTEN_SCHEMAS = (("trade", "v2"), ("orderbook", "v2"), ("market_status", "v2"), ("ticker", "v2"))
_PREPARE = "Run `ssmd up`, or `ssmd bootstrap` to only prepare the registry."


def registry_ready() -> list[Reason]:
    """Why the database cannot be asked: absent, unreachable or not migrated. It creates nothing."""
    where = database_place()
    database = settings.DATABASES["default"]
    # Opening a missing SQLite file would create an empty one.
    if connection.vendor == "sqlite" and not _sqlite_exists(str(database["NAME"])):
        return [Reason(f"There is no registry in {where}", _PREPARE)]
    try:
        missing = _migrations_on_disk() - _migrations_applied()
    except DatabaseError as error:
        return [Reason(f"The registry in {where} cannot be read: {str(error).strip()}", _PREPARE)]
    if missing:
        return [Reason(f"The registry in {where} is not migrated: {', '.join(sorted(missing))}", _PREPARE)]
    return []


def database_place() -> str:
    """Where the registry is kept, without credentials."""
    database = settings.DATABASES["default"]
    if connection.vendor == "sqlite":
        return f"{database['NAME']} (SSMD_HOME is {settings.SSMD_HOME})"
    return f"{database['NAME']} on {database.get('HOST') or 'the local socket'} (DATABASE_URL)"


def _sqlite_exists(name: str) -> bool:
    return name.startswith("file:") or name == ":memory:" or Path(name).exists()


def _migrations_on_disk() -> set[str]:
    """Read from file names: loading Django's migration graph takes longer than the whole command."""
    folders = {app: Path(settings.BASE_DIR) / app / "migrations" for app in ("registry", "secmaster")}
    return {f"{app}.{file.stem}" for app, folder in folders.items() for file in folder.glob("[0-9]*.py")}


def _migrations_applied() -> set[str]:
    with connection.cursor() as cursor:
        if "django_migrations" not in connection.introspection.table_names(cursor):
            return set()
        cursor.execute("SELECT app, name FROM django_migrations WHERE app IN ('registry', 'secmaster')")
        return {f"{app}.{name}" for app, name in cursor.fetchall()}


def feed_or_default(name: str | None) -> str:
    """The named feed, or the applied environment's."""
    return name or Environment.objects.applied_version().feed.name


def feed_known(name: str) -> list[Reason]:
    """Whether the feed is registered, in whatever state: enough for reading what it left."""
    return [] if Feed.objects.filter(name=name).exists() else [_unknown_feed(name)]


def feed_usable(name: str, *, on: date | datetime | None = None) -> list[Reason]:
    """Whether the feed is registered, active, and has a version in force."""
    if unknown := feed_known(name):
        return unknown
    feed = Feed.objects.get(name=name)
    if feed.status != Feed.Status.ACTIVE:
        return [Reason(f"Feed '{name}' is {feed.status}", listing=available_feeds())]
    try:
        feed.version_on(on or timezone.now())
    except Refused as refused:
        return list(refused.reasons)
    return []


def _unknown_feed(name: str) -> Reason:
    feeds = list(Feed.objects.all())
    near = get_close_matches(name, [feed.name for feed in feeds], n=1)
    real = [feed.name for feed in feeds if feed.status == Feed.Status.ACTIVE and not feed.simulated]
    meant = near or (real if len(real) == 1 else [])
    remedy = "" if feeds else "None is registered; run `ssmd bootstrap`."
    problem = f"Feed '{name}' not found in feed registry"
    return Reason(problem, remedy, did_you_mean=meant[0] if meant else "", listing=available_feeds())


def available_feeds() -> str:
    """The feeds for people: real ones, then simulated ones apart."""
    feeds = Feed.objects.order_by("name")
    return "\n\n".join(
        f"{heading}:\n" + "\n".join(f"  {feed.name} ({feed.status}) - {feed.description}" for feed in rows)
        for heading, rows in (
            ("Available feeds", feeds.filter(simulated=False)),
            ("Simulated feeds", feeds.filter(simulated=True)),
        )
        if rows
    )


def environment_known(name: str) -> list[Reason]:
    """Whether the environment is registered."""
    names = set(Environment.objects.values_list("name", flat=True))
    return [] if name in names else [_unknown("Environment", name, names)]


def environment_usable(name: str) -> list[Reason]:
    """Whether the environment is registered and not disabled."""
    if unknown := environment_known(name):
        return unknown
    environment = Environment.objects.get(name=name)
    if environment.status != Environment.Status.ACTIVE:
        return [Reason(f"Environment '{name}' is {environment.status}")]
    return []


def schema_known(name: str, version: str | None = None) -> list[Reason]:
    """Whether the schema is registered, in that version if one is named."""
    schemas = list(SchemaVersion.objects.all())
    known = {str(schema) for schema in schemas} if version else {schema.name for schema in schemas}
    asked = f"{name}:{version}" if version else name
    return [] if asked in known else [_unknown("Schema", asked, known)]


def schema_usable(name: str, version: str) -> list[Reason]:
    """Whether data may be written in this schema version: registered, not deprecated, its text unaltered."""
    if unknown := schema_known(name, version):
        return unknown
    schema = SchemaVersion.objects.get(name=name, version=version)
    if schema.status == SchemaVersion.Status.DEPRECATED:
        return [Reason(f"Schema '{schema}' is deprecated since {schema.deprecated_at}")]
    if not schema.hash_is_right:
        return [Reason(f"Schema '{schema}' is not the text that was registered: its SHA-256 differs")]
    return []


def _unknown(kind: str, name: str, known: Iterable[str]) -> Reason:
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    listing = f"Available {kind.lower()}s:\n" + "\n".join(f"  {one}" for one in names) if names else ""
    remedy = "" if names else "None is registered; run `ssmd bootstrap`."
    return Reason(f"{kind} '{name}' not found", remedy, did_you_mean=near[0] if near else "", listing=listing)


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """All that a connector needs, as plain values: it asks no registry afterwards."""

    environment: str
    environment_version: int
    config_hash: str
    feed: str
    feed_version: str
    venue: str
    simulated: bool
    endpoint: str
    rest_endpoint: str
    subscribe_params: dict[str, Any]
    filters: tuple[SymbolFilter, ...]
    spec: EnvironmentSpec
    secret_ref: str


def connector_plan(
    environment: str | None = None,
    *,
    feed: str | None = None,
    symbols: Sequence[str] = (),
    at: datetime | None = None,
) -> RecordingPlan:
    """What to record: by environment, by feed, or the applied environment; refused with every reason."""
    moment = at or timezone.now()
    version = environment_in_force(environment, feed, moment)
    require(feed_usable(version.feed.name, on=moment), _has_adapter(version.feed), _same_feed(version, feed))
    plan = _plan(version, version.feed.version_on(moment), symbols)
    require(
        secret_usable(plan.secret_ref) if plan.secret_ref else [Reason(f"Feed '{plan.feed}' names no secret")]
    )
    return plan


def environment_in_force(name: str | None, feed: str | None, moment: datetime) -> EnvironmentVersion:
    """By name, by feed, or the applied one; refused with every reason. It asks for no secret."""
    checks = [environment_usable(name) if name else [], feed_usable(feed, on=moment) if feed else []]
    require(*checks)
    if name is None and feed is not None:
        return _environment_of_feed(feed, moment)
    chosen = Environment.objects.get(name=name) if name else Environment.objects.applied()
    version = chosen.versions.as_of(moment).select_related("environment", "feed").first()
    if version is None:
        raise Refused([_not_applied(f"Environment '{chosen.name}' is registered but not applied", moment)])
    return version


def _environment_of_feed(feed: str, moment: datetime) -> EnvironmentVersion:
    versions = EnvironmentVersion.objects.as_of(moment).filter(feed__name=feed)
    found = list(versions.select_related("environment", "feed"))
    if not found:
        raise Refused([_not_applied(f"No applied environment records feed '{feed}'", moment)])
    if len(found) > 1:
        names = ", ".join(sorted(version.environment.name for version in found))
        raise Refused([Reason(f"Several environments record feed '{feed}': {names}", "Name one with --env.")])
    return found[0]


def _not_applied(problem: str, moment: datetime) -> Reason:
    applied = EnvironmentVersion.objects.as_of(moment).select_related("environment", "feed")
    names = ", ".join(sorted(f"{version.environment.name} (feed {version.feed.name})" for version in applied))
    return Reason(problem, f"Applied: {names or 'none; `ssmd bootstrap` makes demo'}.")


def _has_adapter(feed: Feed) -> list[Reason]:
    if feed.venue:
        return []
    return [
        Reason(
            f"Feed '{feed.name}' has no venue: nothing here speaks it", "It can be registered, not started."
        )
    ]


def _same_feed(version: EnvironmentVersion, feed: str | None) -> list[Reason]:
    if feed is None or feed == version.feed.name:
        return []
    return [
        Reason(f"Environment '{version.environment.name}' records feed '{version.feed.name}', not '{feed}'")
    ]


def _plan(version: EnvironmentVersion, feed_version: FeedVersion, symbols: Sequence[str]) -> RecordingPlan:
    spec, feed = version.spec, version.feed
    explicit = tuple(SymbolFilter("ticker", symbol) for symbol in symbols)
    return RecordingPlan(
        environment=version.environment.name,
        environment_version=version.version,
        config_hash=version.config_hash,
        feed=feed.name,
        feed_version=feed_version.version,
        venue=feed.venue,
        simulated=feed.simulated,
        endpoint=feed_version.endpoint_template,
        rest_endpoint=feed_version.rest_endpoint,
        subscribe_params=dict(feed_version.subscribe_params),
        filters=explicit or spec.symbols.filters,
        spec=spec,
        # What the environment says wins over the feed's default.
        secret_ref=spec.secrets.get(feed.venue) or feed_version.secret_ref or "",
    )
