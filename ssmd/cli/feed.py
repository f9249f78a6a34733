"""Sources of market data and how to reach them."""

from argparse import _SubParsersAction
from datetime import date, datetime
from typing import Any, TextIO

from django.utils import timezone

from registry.models import Feed, FeedVersion
from registry.preflight import feed_known
from registry.refusal import ExitCode, require
from registry.temporal import utc_day
from ssmd.cli.columns import columns
from ssmd.cli.options import add_as_of, add_output
from ssmd.cli.table import render, render_one

_SHOWN = ("name", "status", "type", "venue", "simulated", "version", "endpoint", "description")


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd feed list|show`."""
    actions = groups.add_parser("feed", help=__doc__, description=__doc__).add_subparsers(
        metavar="VERB", required=True
    )
    listing = actions.add_parser("list", help="All feeds, with the version in force")
    listing.add_argument("--status", choices=Feed.Status.values)
    add_as_of(listing)
    add_output(listing)
    listing.set_defaults(run=list_feeds)
    show = actions.add_parser("show", help="How to connect to a feed")
    show.add_argument("name", metavar="NAME")
    add_as_of(show)
    add_output(show)
    show.set_defaults(run=show_feed)


def list_feeds(*, status: str | None, as_of: date | datetime | None, output: str, stdout: TextIO) -> None:
    """Every feed; a day without a version in force shows none."""
    feeds = Feed.objects.filter(status=status) if status else Feed.objects.all()
    in_force = FeedVersion.objects.as_of(as_of or timezone.now())
    versions = {version.feed_id: version for version in in_force}
    rows = [_listed(feed, versions.get(feed.pk)) for feed in feeds]
    shown = [{**row, "type": row["feed_type"], "endpoint": row["endpoint_template"]} for row in rows]
    stdout.write(render(shown if output == "table" else rows, _SHOWN, as_=output))


def _listed(feed: Feed, version: FeedVersion | None) -> dict[str, Any]:
    current = {
        "version": version.version if version else None,
        "endpoint_template": version.endpoint_template if version else None,
    }
    return {**columns(feed), **current}


def show_feed(*, name: str, as_of: date | datetime | None, output: str, stdout: TextIO) -> None:
    """The feed and its version in force on that day."""
    day = utc_day(as_of or timezone.now())
    require(feed_known(name), exit_code=ExitCode.NOT_FOUND)
    feed = Feed.objects.get(name=name)
    version = columns(feed.version_on(day), without=("id", "feed_id"))
    stdout.write(render_one({**columns(feed), "as_of": day, **version}, as_=output))
