"""Fills a registry: database, feeds, schemas, environments, the demo's keys. Every step may be repeated."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from registry import seed
from registry.environment_file import config_hash, parse_environment
from registry.models import (
    Environment,
    EnvironmentVersion,
    Feed,
    FeedCalendar,
    FeedVersion,
    MaintenanceWindow,
    SchemaVersion,
)
from registry.models.schema import sha256
from registry.preflight import registry_ready
from registry.refusal import ExitCode, Reason, Refused, require
from registry.secrets import folder, secret_usable
from registry.temporal import RowT
from registry.yaml_fields import Fields

BY = "ssmd bootstrap"


def bootstrap(*, sim_endpoint: str | None = None) -> list[str]:
    """Make what is missing; returns a line for each thing made or changed."""
    require(endpoint_usable(sim_endpoint))
    with _alone():
        made = _migrate()
        with transaction.atomic():
            made += _feeds(sim_endpoint) + _calendars() + _schemas() + _environments()
        return made + _demo_keys()


def endpoint_usable(endpoint: str | None) -> list[Reason]:
    """Whether the simulated exchange can be reached there: a WebSocket's address."""
    if endpoint is None:
        return []
    problems: list[Reason] = []
    Fields({"--sim-endpoint": endpoint}, "", problems).address("--sim-endpoint", ["ws", "wss"])
    form = f"Like {seed.SIM_ENDPOINT}"
    return [Reason(one.problem, form) for one in problems]


@contextmanager
def _alone() -> Iterator[None]:
    """One bootstrap at a time on this machine; the lock goes with the process."""
    run = Path(settings.RUN_DIR)
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = os.open(run / "bootstrap.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        remedy = "Set SSMD_HOME to a folder you may write to."
        problem = f"SSMD_HOME {settings.SSMD_HOME} cannot be written to: {error.strerror}"
        raise Refused([Reason(problem, remedy)], exit_code=ExitCode.PERMISSION) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _migrate() -> list[str]:
    before = registry_ready()
    call_command("migrate", interactive=False, verbosity=0)
    return ["database: migrated"] if before else []


def _feeds(sim_endpoint: str | None) -> list[str]:
    made = _feed("kalshi", seed.KALSHI, seed.kalshi_versions())
    simulated = [seed.simulated_version(sim_endpoint or seed.SIM_ENDPOINT)]
    return made + _feed("kalshi-sim", seed.KALSHI_SIM, simulated) + _reach_simulator(sim_endpoint)


def _feed(name: str, columns: dict[str, Any], versions: list[dict[str, Any]]) -> list[str]:
    if Feed.objects.filter(name=name).exists():
        return []
    feed = _added(Feed(name=name, **columns))
    for version in versions:
        _added(FeedVersion(feed=feed, **version))
    return [f"feed {name}: {', '.join(version['version'] for version in versions)}"]


def _added(row: RowT) -> RowT:
    row._change_reason = BY  # type: ignore[attr-defined]
    row.full_clean()
    row.save()
    return row


def _reach_simulator(endpoint: str | None) -> list[str]:
    """The simulated exchange may listen elsewhere than last time; without an endpoint it stays."""
    feed = Feed.objects.get(name="kalshi-sim")
    today = timezone.now().date()
    if endpoint is None or feed.version_on(today).endpoint_template == endpoint:
        return []
    version = feed.revise(effective_from=today, reason=BY, **seed.reached_by(endpoint))
    return [f"feed kalshi-sim: {version.version} reaches {endpoint}"]


def _calendars() -> list[str]:
    return [
        line for feed, (hours, windows) in seed.CALENDARS.items() for line in _calendar(feed, hours, windows)
    ]


def _calendar(name: str, hours: dict[str, Any], windows: list[dict[str, Any]]) -> list[str]:
    """What an operator wrote instead stays: only a feed without any calendar gets one."""
    feed = Feed.objects.get(name=name)
    if feed.calendars.exists():
        return []
    calendar = _added(FeedCalendar(feed=feed, **hours))
    weekly = [str(_added(MaintenanceWindow(calendar=calendar, **window))) for window in windows]
    return [f"calendar {name}: around the clock" + "".join(f", except {window}" for window in weekly)]


def _schemas() -> list[str]:
    texts = [
        _text(Path(settings.BASE_DIR) / "capnp" / f"market_data.{version}.capnp") for version in ("v1", "v2")
    ]
    return [line for wanted in seed.schemas(*texts) for line in _schema(wanted)]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror}"
        raise Refused(
            [Reason(problem, "Restore it from the repository.")], exit_code=ExitCode.UNAVAILABLE
        ) from error


def _schema(wanted: dict[str, Any]) -> list[str]:
    known = SchemaVersion.objects.filter(name=wanted["name"], version=wanted["version"]).first()
    if known is None:
        schema = _added(SchemaVersion(format=SchemaVersion.Format.CAPNP, **wanted))
        return [f"schema {schema}: {schema.status}, sha256 {schema.schema_hash[:12]}"]
    if known.status != SchemaVersion.Status.DRAFT:
        if known.schema_hash != sha256(wanted["schema_definition"]):
            raise Refused([_altered(known)], exit_code=ExitCode.INTEGRITY)
        return []
    known.schema_definition, known.status = wanted["schema_definition"], wanted["status"]
    _added(known)
    return [f"schema {known}: draft is now {known.status}, sha256 {known.schema_hash[:12]}"]


def _altered(schema: SchemaVersion) -> Reason:
    file = f"capnp/market_data.{schema.version}.capnp"
    return Reason(
        f"Schema '{schema}' is {schema.status} with sha256 {schema.schema_hash[:12]}, but {file} has another text",
        "What was written in it must stay readable: restore the file, and add a new version for a change.",
    )


def _environments() -> list[str]:
    environments = Path(settings.BASE_DIR) / "environments"
    _, made = _environment(_text(environments / "kalshi.yaml"), "Kalshi, in production")
    demo, made_demo = _environment(
        _text(environments / "demo.yaml"), "The simulated exchange on this machine"
    )
    now = timezone.now()
    # What an operator applied or rolled back to stays; only a demo that is new, or never ran, is applied.
    if made_demo or not demo.environment.versions.as_of(now).exists():
        demo.apply(at=now, by=BY)
        made_demo = made_demo or [f"environment demo: version {demo.version}"]
        made_demo[-1] += ", applied"
    return made + made_demo


def _environment(text: str, description: str) -> tuple[EnvironmentVersion, list[str]]:
    name = parse_environment(text).name
    environment = Environment.objects.filter(name=name).first()
    if environment is None:
        environment = _added(Environment(name=name, description=description))
    known = (
        EnvironmentVersion.objects.filter(environment=environment, config_hash=config_hash(text))
        .order_by("-version")
        .first()
    )
    if known is not None:
        return known, []
    version = environment.add_version(text)
    return version, [f"environment {name}: version {version.version} registered"]


def _demo_keys() -> list[str]:
    """A key pair as a venue would issue it: ours signs with it, the simulated exchange checks."""
    place = folder("kalshi-sim-creds")
    if not secret_usable(seed.SIM_SECRET) and (place / "public_key").exists():
        return []
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _keep(place / "public_key", public)
    _keep(place / "api_secret", private)
    _keep(place / "api_key", str(uuid.uuid4()).encode())
    return [f"keys of the simulated exchange: {place}"]


def _keep(path: Path, content: bytes) -> None:
    """Whole or not at all, for its owner only."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)
