"""Cap'n Proto schemas and their versions."""

from argparse import _SubParsersAction
from datetime import date, datetime
from typing import Any, TextIO

from registry.models import SchemaVersion
from registry.preflight import schema_known
from registry.refusal import ExitCode, require
from registry.temporal import utc_day
from ssmd.cli.columns import columns
from ssmd.cli.options import add_as_of, add_output
from ssmd.cli.table import render, render_one

_SHOWN = ("name", "version", "format", "status", "effective_from", "sha256", "compatible_with")


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd schema list|show`."""
    actions = groups.add_parser("schema", help=__doc__, description=__doc__).add_subparsers(
        metavar="VERB", required=True
    )
    listing = actions.add_parser("list", help="All versions of all schemas")
    add_as_of(listing)
    add_output(listing)
    listing.set_defaults(run=list_schemas)
    show = actions.add_parser("show", help="One version, with its text")
    show.add_argument("name", metavar="NAME")
    show.add_argument("--version", metavar="VERSION", help="default: the latest that may be written")
    add_output(show)
    show.set_defaults(run=show_schema)


def list_schemas(*, as_of: date | datetime | None, output: str, stdout: TextIO) -> None:
    """Every version that was there then, without its text, which `show` prints."""
    schemas = SchemaVersion.objects.filter(effective_from__lte=utc_day(as_of or date.max))
    rows = [columns(schema, without=("schema_definition",)) for schema in schemas]
    shown = [{**row, "sha256": row["schema_hash"][:12]} for row in rows]
    stdout.write(render(shown if output == "table" else rows, _SHOWN, as_=output))


def show_schema(*, name: str, version: str | None, output: str, stdout: TextIO, stderr: TextIO) -> None:
    """One version; on a terminal the text comes last, as it stands."""
    require(schema_known(name, version), exit_code=ExitCode.NOT_FOUND)
    versions = SchemaVersion.objects.filter(name=name).order_by("-effective_from", "-version")
    chosen = versions.get(version=version) if version else (versions.usable().first() or versions[0])
    if version is None:
        others = ", ".join(sorted(other.version for other in versions))
        stderr.write(f"{chosen}, the latest that may be written; --version chooses of {others}.\n")
    if output != "table":
        stdout.write(render_one(columns(chosen), as_=output))
        return
    stdout.write(render_one(columns(chosen, without=("id", "schema_definition"))))
    stdout.write(f"\n{chosen.schema_definition.rstrip()}\n")
