"""What was recorded and what was lost."""

from argparse import ArgumentParser, _SubParsersAction
from typing import Any

from registry.models import DataInventory
from ssmd.cli.data_gaps import list_gaps
from ssmd.cli.data_inventory import show_inventory
from ssmd.cli.data_quality import show_quality
from ssmd.cli.data_reindex import run_reindex
from ssmd.cli.data_seal import add_verbs as add_seal_verbs
from ssmd.cli.options import add_feed, add_output, count, day


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd data inventory|gaps|quality|reindex|...`."""
    actions = groups.add_parser("data", help=__doc__, description=__doc__).add_subparsers(
        metavar="VERB", required=True
    )
    _inventory(actions.add_parser("inventory", help="Which days there are, how large and how good"))
    _gaps(actions.add_parser("gaps", help="What was lost, when and why"))
    _quality(actions.add_parser("quality", help="How good a day is, and what was wrong in it"))
    _reindex(actions.add_parser("reindex", help="Make all rows anew from the archive's manifests"))
    add_seal_verbs(actions)


def _inventory(parser: ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", type=day, metavar="DATE", help="first day")
    parser.add_argument("--to", dest="last", type=day, metavar="DATE", help="last day, included")
    parser.add_argument("--status", choices=DataInventory.Status.values)
    parser.add_argument("--wide", action="store_true", help="also how many records and markets")
    add_feed(parser)
    add_output(parser)
    parser.set_defaults(run=show_inventory)


def _gaps(parser: ArgumentParser) -> None:
    parser.add_argument("--date", dest="on", type=day, metavar="DATE", help="only this UTC day")
    parser.add_argument("--limit", type=count, default=1000, metavar="N", help="the latest N (default: 1000)")
    parser.add_argument("--wide", action="store_true", help="also session, number, end, markets, notes")
    add_feed(parser)
    add_output(parser)
    parser.set_defaults(run=list_gaps)


def _quality(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--date", dest="on", type=day, metavar="DATE", help="the UTC day (default: the latest)"
    )
    add_feed(parser)
    add_output(parser)
    parser.set_defaults(run=show_quality)


def _reindex(parser: ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--date", dest="on", type=day, metavar="DATE", help="only this UTC day")
    which.add_argument("--all", dest="everything", action="store_true", help="every day")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_feed(parser)
    add_output(parser)
    parser.set_defaults(run=run_reindex)
