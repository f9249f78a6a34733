"""An environment's YAML as typed values, or all that is wrong with it. Pure."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from registry.refusal import Reason, Refused
from registry.yaml_fields import Fields, suggestion
from registry.yaml_text import load_yaml

NAME = r"[a-z0-9][a-z0-9-]{0,62}"
NAME_FORM = "a-z, 0-9 and -, at most 63."
REFERENCE = r"sealed-secret/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
FILTER_KINDS = ("category", "series", "ticker")
GIB = 1024**3
_FOLDER = r"(?!.*(^|/)\.\.(/|$)).+"
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The daily cycle, as HH:MM in `timezone`."""

    timezone: str
    startup: str
    teardown: str
    handover: str = "none"


@dataclass(frozen=True, slots=True)
class SymbolFilter:
    """Markets of one category, one series, or one ticker."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Symbols:
    """Whose order books are recorded; no filters: all markets."""

    sync: bool = True
    filters: tuple[SymbolFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class Transport:
    """The bus; `embedded` is the server that `ssmd up` starts."""

    url: str
    stream: str
    type: str = "nats"
    replicas: int = 1
    raw: str = "core"
    max_bytes: int = 4 * GIB


@dataclass(frozen=True, slots=True)
class Store:
    """A directory (`path`, relative to SSMD_HOME) or a bucket at an S3 endpoint.

    `checksums: when_required` is for stores that refuse checksum headers: they get Content-MD5 instead.
    """

    path: str = ""
    bucket: str = ""
    endpoint: str = ""
    part_seconds: int = 60
    path_style: bool = True
    region: str = "us-east-1"
    checksums: str = "when_supported"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the two archives lie."""

    raw: Store
    normalized: Store


@dataclass(frozen=True, slots=True)
class Capture:
    """What the connector's logs may take of its disk, in bytes; past it frames are dropped, and a gap says so.

    Order books are spread over connections, `books_per_connection` each, at most `connections` in all; 0 puts them on
    the one connection that carries the all-market channels.
    """

    max_bytes: int = 20 * GIB
    books_per_connection: int = 500
    connections: int = 50


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """All that an environment says."""

    name: str
    feed: str
    schedule: Schedule
    symbols: Symbols
    transport: Transport
    storage: Storage
    secrets: Mapping[str, str] = field(default_factory=dict)
    runtime: str = "supervisor"
    capture: Capture = field(default_factory=Capture)


def config_hash(text: str) -> str:
    """The SHA-256 that names a configuration, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def parse_environment(text: str) -> EnvironmentSpec:
    """The environment in `text`, or `Refused` with every reason."""
    document = load_yaml(text)
    if not isinstance(document, dict):
        raise Refused([Reason("The file holds no mapping", "Start from environments/kalshi.yaml.")])
    problems: list[Reason] = []
    spec = _document(Fields({str(key): value for key, value in document.items()}, "", problems))
    if problems:
        raise Refused(problems)
    return spec


def _document(top: Fields) -> EnvironmentSpec:
    top.choice("apiVersion", ["ssmd/v1"])
    top.choice("kind", ["Environment"])
    metadata = top.section("metadata")
    name = metadata.text("name", pattern=NAME, form=NAME_FORM)
    metadata.close()
    spec = _spec(top.section("spec"), name)
    top.close()
    return spec


def _spec(spec: Fields, name: str) -> EnvironmentSpec:
    parsed = EnvironmentSpec(
        name=name,
        feed=spec.text("feed", pattern=NAME, form=NAME_FORM),
        schedule=_schedule(spec.section("schedule")),
        symbols=_symbols(spec.section("symbols", optional=True)),
        transport=_transport(spec.section("transport")),
        storage=_storage(spec.section("storage")),
        secrets=_secrets(spec.section("secrets", optional=True)),
        capture=_capture(spec.section("capture", optional=True)),
        runtime=spec.choice("runtime", ["supervisor", "kubernetes"], default="supervisor"),
    )
    spec.close()
    return parsed


def _schedule(fields: Fields) -> Schedule:
    clock = {"pattern": r"([01][0-9]|2[0-3]):[0-5][0-9]", "form": 'A time of day in quotes, like "00:10".'}
    schedule = Schedule(
        timezone=fields.text("timezone", default="UTC"),
        startup=fields.text("startup", **clock),
        teardown=fields.text("teardown", **clock),
        handover=fields.choice("handover", ["none", "overlap"], default="none"),
    )
    if not _is_time_zone(schedule.timezone):
        fields.wrong("timezone", f"{schedule.timezone!r} is no time zone", "Like UTC or America/New_York.")
    fields.close()
    return schedule


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _symbols(fields: Fields) -> Symbols:
    sync = fields.flag("sync", default=True)
    given = fields.take("filters")
    filters: list[SymbolFilter] = []
    if given is not None and not isinstance(given, list):
        fields.wrong("filters", f"{given!r} is not accepted", 'A list, like: - category: "crypto"')
    for index, one in enumerate(given if isinstance(given, list) else []):
        filters += _filter(fields, f"filters[{index}]", one)
    fields.close()
    return Symbols(sync=sync, filters=tuple(filters))


def _filter(fields: Fields, key: str, given: object) -> list[SymbolFilter]:
    if not isinstance(given, dict) or len(given) != 1:
        fields.wrong(key, f"{given!r} is not accepted", f"One of {', '.join(FILTER_KINDS)} with its value.")
        return []
    [(kind, value)] = given.items()
    if kind not in FILTER_KINDS:
        fields.wrong(key, f"no such filter as {kind!r}", suggestion(str(kind), FILTER_KINDS))
        return []
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        fields.wrong(f"{key}.{kind}", f"{value!r} is not accepted", "A text of 1 to 200 characters.")
        return []
    return [SymbolFilter(kind=kind, value=value)]


def _transport(fields: Fields) -> Transport:
    transport = Transport(
        type=fields.choice("type", ["nats"], default="nats"),
        url=fields.address("url", ["nats", "tls"], words=["embedded"]),
        stream=fields.text(
            "stream", pattern=r"[A-Za-z0-9_-]{1,64}", form="A-Z, a-z, 0-9, _ and -, at most 64."
        ),
        replicas=fields.number("replicas", default=1, least=1, most=5),
        raw=fields.choice("raw", ["core", "off"], default="core"),
        max_bytes=fields.number("max_bytes", default=4 * GIB, least=1024**2, most=2**50),
    )
    fields.close()
    return transport


def _storage(fields: Fields) -> Storage:
    storage = Storage(raw=_store(fields.section("raw")), normalized=_store(fields.section("normalized")))
    if storage.raw.path and storage.raw.path == storage.normalized.path:
        fields.wrong("normalized.path", "is the raw archive's folder as well", "Give each archive its own.")
    if storage.raw.bucket and storage.raw.bucket == storage.normalized.bucket:
        fields.wrong("normalized.bucket", "is the raw archive's bucket as well", "Give each archive its own.")
    fields.close()
    return storage


def _store(fields: Fields) -> Store:
    in_folder, in_bucket = "path" in fields.values, "bucket" in fields.values
    if in_folder == in_bucket:
        problem = f"{fields.path}: {'both path and' if in_folder else 'neither path nor'} bucket"
        fields.problems.append(Reason(problem, "Give exactly one."))
    for key in ("path_style", "region", "checksums") if in_folder else ():
        if key in fields.values:
            fields.wrong(key, "is for a bucket, and this is a folder", "Leave it out.")
    store = Store(
        path=fields.text("path", default="", pattern=_FOLDER, form="A folder, without '..'."),
        bucket=fields.text("bucket", default="", pattern=_BUCKET, form="3 to 63 of a-z, 0-9, . and -."),
        endpoint=_endpoint(fields, required=in_bucket),
        part_seconds=fields.number("part_seconds", default=60, least=1, most=60),
        path_style=fields.flag("path_style", default=True),
        region=fields.text("region", default="us-east-1", pattern=r"[a-z0-9-]{1,64}", form="Like us-east-1."),
        checksums=fields.choice("checksums", ["when_supported", "when_required"], default="when_supported"),
    )
    fields.close()
    return store


def _endpoint(fields: Fields, *, required: bool) -> str:
    if not required and "endpoint" not in fields.values:
        return fields.text("endpoint", default="")
    given = fields.values.get("endpoint")
    if isinstance(given, str) and "://" not in given and "@" not in given:
        return fields.text(
            "endpoint", pattern=r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", form="A host, or http(s)://host:port."
        )
    return fields.address("endpoint", ["https", "http"])


def _capture(fields: Fields) -> Capture:
    capture = Capture(
        max_bytes=fields.number("max_bytes", default=20 * GIB, least=64 * 1024**2, most=2**50),
        books_per_connection=fields.number("books_per_connection", default=500, least=0, most=500_000),
        connections=fields.number("connections", default=50, least=2, most=1000),
    )
    fields.close()
    return capture


def _secrets(fields: Fields) -> Mapping[str, str]:
    form = "Only a reference, like sealed-secret/NAME; the secret itself never stands in a file."
    secrets: dict[str, str] = {}
    for key, value in list(fields.values.items()):
        fields.take(key)
        # The value is not repeated: it may be a real secret, put here by mistake.
        if isinstance(value, str) and _is_reference(value):
            secrets[key] = value
        else:
            fields.wrong(key, "is not a reference to a secret", form)
    return secrets


def _is_reference(value: str) -> bool:
    return re.fullmatch(REFERENCE, value) is not None and ".." not in value
