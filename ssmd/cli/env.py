"""Environments: what is recorded, streamed and stored where."""

from argparse import _SubParsersAction
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

from django.utils import timezone

from registry.environment_file import EnvironmentSpec, parse_environment
from registry.models import Environment, EnvironmentVersion
from registry.preflight import WRITTEN_SCHEMAS, environment_known, feed_usable, schema_usable
from registry.refusal import ExitCode, Reason, Refused, require
from registry.secrets import secret_exists
from ssmd.cli.columns import columns
from ssmd.cli.options import add_as_of, add_output
from ssmd.cli.table import render, render_one
from ssmd.key_check import key_usable

_WELL_FORMED = "Definition is well-formed"
_SHOWN = ("name", "status", "feed", "version", "applied", "valid_from", "description")


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd env list|show|validate`."""
    actions = groups.add_parser("env", help=__doc__, description=__doc__).add_subparsers(
        metavar="VERB", required=True
    )
    listing = actions.add_parser("list", help="All environments, and which is applied")
    add_as_of(listing)
    add_output(listing)
    listing.set_defaults(run=list_environments)
    show = actions.add_parser("show", help="An environment's configuration")
    show.add_argument("name", metavar="NAME", nargs="?", help="default: the applied one")
    add_as_of(show)
    add_output(show)
    show.set_defaults(run=show_environment)
    validate = actions.add_parser("validate", help="Check a definition against the registry")
    validate.add_argument("file", metavar="FILE", type=Path)
    add_output(validate)
    validate.set_defaults(run=validate_environment)


def list_environments(*, as_of: date | datetime | None, output: str, stdout: TextIO) -> None:
    """Every environment with its version in force then; without a date, else its latest."""
    rows = [_listed(environment, as_of) for environment in Environment.objects.all()]
    stdout.write(render(rows, _SHOWN, as_=output))


def _listed(environment: Environment, as_of: date | datetime | None) -> dict[str, Any]:
    in_force = environment.versions.as_of(as_of or timezone.now()).first()
    version = in_force or (environment.latest() if as_of is None else None)
    return {
        **columns(environment),
        "feed": version.feed.name if version else None,
        "version": version.version if version else None,
        "applied": in_force is not None,
        "valid_from": version.valid_from if version else None,
        "config_hash": version.config_hash if version else None,
    }


def show_environment(*, name: str | None, as_of: date | datetime | None, output: str, stdout: TextIO) -> None:
    """Its version in force then; without a date, and never applied, the latest registered one."""
    if name is not None:
        require(environment_known(name), exit_code=ExitCode.NOT_FOUND)
    environment = Environment.objects.get(name=name) if name else Environment.objects.applied()
    version = _version(environment, as_of)
    row = {
        **columns(environment),
        **columns(version, without=("id", "environment_id")),
        "feed": version.feed.name,
    }
    row["applied"] = version.valid_from is not None and version.valid_to is None
    if output != "table":
        stdout.write(render_one(row, as_=output))
        return
    stdout.write(
        render_one({key: value for key, value in row.items() if key not in ("config_yaml", "feed_id", "id")})
    )
    stdout.write(f"\n{version.config_yaml.rstrip()}\n")


def _version(environment: Environment, as_of: date | datetime | None) -> EnvironmentVersion:
    never = not environment.versions.exclude(valid_from=None).exists()
    latest = environment.latest()
    if as_of is None and never and latest is not None:
        return latest
    return environment.version_in_force(as_of or timezone.now())


def validate_environment(*, file: Path, output: str, stdout: TextIO) -> None:
    """Print each check with its tick; refused with every reason when one fails."""
    text = _text(file)
    name, checks = _examined(text, file)
    rows = [
        {"check": check, "ok": not reasons, "problems": [str(reason) for reason in reasons]}
        for check, reasons in checks.items()
    ]
    if output == "table":
        stdout.write(f"Validating {name}...\n")
        stdout.writelines(f"  {'✓' if row['ok'] else '✗'} {row['check']}\n" for row in rows)
    else:
        stdout.write(render(rows, ("check", "ok"), as_=output))
    require(*checks.values())
    if output == "table":
        stdout.write("Valid.\n")


def _examined(text: str, file: Path) -> tuple[str, dict[str, list[Reason]]]:
    """What is examined, and each check; of a malformed definition there is only one to make."""
    try:
        spec = parse_environment(text)
    except Refused as refused:
        named = [replace(reason, problem=f"{file}: {reason.problem}") for reason in refused.reasons]
        return str(file), {_WELL_FORMED: named}
    return f"environment '{spec.name}'", _checks(spec)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refused([Reason(f"{file} is not text in UTF-8")]) from error
    except OSError as error:
        remedy = "Definitions lie in environments/, e.g. environments/kalshi.yaml."
        reason = Reason(f"{file} cannot be read: {error.strerror}", remedy)
        raise Refused([reason], exit_code=ExitCode.NOT_FOUND) from error


def _checks(spec: EnvironmentSpec) -> dict[str, list[Reason]]:
    """What the definition refers to, each with what is wrong with it."""
    checks: dict[str, list[Reason]] = {
        _WELL_FORMED: [],
        f"Feed '{spec.feed}' exists and is active": feed_usable(spec.feed),
    }
    for name, version in WRITTEN_SCHEMAS:
        checks[f"Schema '{name}:{version}' exists and may be written"] = schema_usable(name, version)
    for reference in dict.fromkeys(spec.secrets.values()):
        checks[f"Secret '{reference}' exists"] = _secret(spec, reference)
    return checks


def _secret(spec: EnvironmentSpec, reference: str) -> list[Reason]:
    """A venue's credentials are a known pair; what a server asks for is the server's matter."""
    servers = {"nats", "postgres", "s3"}
    used_by = {use for use, named in spec.secrets.items() if named == reference}
    return key_usable(reference) if used_by - servers else secret_exists(reference)
