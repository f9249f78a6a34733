"""What can be traded."""

import json
from argparse import _SubParsersAction
from datetime import date, datetime
from typing import Any, TextIO

import httpx
from django.db.models import Case, F, When
from django.utils import timezone

from registry.models import Feed
from registry.preflight import feed_known, feed_or_default, feed_usable
from registry.refusal import ExitCode, Reason, Refused, require
from registry.temporal import instant
from secmaster.models import Market
from secmaster.preflight import market_known
from secmaster.sync import SyncResult
from ssmd.cli.columns import columns
from ssmd.cli.market_follow import add_verb
from ssmd.cli.options import add_as_of, add_feed, add_output, count
from ssmd.cli.table import render, render_one

_SHOWN = ("ticker", "status", "series_ticker", "open_time", "close_time", "result", "title")
_ACTIVE_FIRST = Case(When(status=Market.Status.ACTIVE, then=0), default=1)


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd market list|show|sync|follow`."""
    actions = groups.add_parser("market", help=__doc__, description=__doc__).add_subparsers(
        metavar="VERB", required=True
    )
    listing = actions.add_parser("list", help="Known markets: active ones first, then by closing time")
    listing.add_argument("--status", choices=Market.Status.values)
    listing.add_argument("--series", metavar="TICKER", help="only of this series")
    listing.add_argument("--limit", type=count, default=100, metavar="N", help="at most N (default: 100)")
    add_as_of(listing)
    show = actions.add_parser("show", help="One market")
    show.add_argument("ticker", metavar="TICKER")
    show.add_argument(
        "--changes", type=count, default=20, metavar="N", help="its last N changes (default: 20)"
    )
    sync = actions.add_parser("sync", help="Ask the venue for all markets now")
    for parser, action in ((listing, list_markets), (show, show_market), (sync, run_sync)):
        add_feed(parser)
        add_output(parser)
        parser.set_defaults(run=action)
    add_verb(actions)


def list_markets(
    *,
    feed: str | None,
    status: str | None,
    series: str | None,
    limit: int,
    as_of: date | datetime | None,
    output: str,
    stdout: TextIO,
    stderr: TextIO,
) -> None:
    """Active markets first, then by closing time; how many more there are is said on stderr."""
    name = feed_or_default(feed)
    require(feed_known(name), exit_code=ExitCode.NOT_FOUND)
    markets = Market.objects.all() if as_of is None else Market.history.as_of(instant(as_of))
    markets = markets.filter(feed__name=name)
    markets = markets.filter(status=status) if status else markets
    markets = markets.filter(series_ticker=series) if series else markets
    ordered = markets.order_by(_ACTIVE_FIRST, F("close_time").asc(nulls_last=True), "ticker")
    rows = [columns(market, without=("raw_metadata",)) for market in ordered[:limit]]
    stdout.write(render(rows, _SHOWN, as_=output))
    if (total := markets.count()) > len(rows):
        stderr.write(f"{len(rows)} of {total}; --limit {total} shows all.\n")
    if not rows:
        stderr.write(_none_found(name))


def _none_found(feed: str) -> str:
    if Market.objects.of_feed(feed).exists():
        return "None; without --status, --series and --as-of more are shown.\n"
    return f"No market of feed {feed} is known yet; run `ssmd market sync --feed {feed}`.\n"


def show_market(*, ticker: str, feed: str | None, changes: int, output: str, stdout: TextIO) -> None:
    """Every column of one market and its last changes; on a terminal what the venue said more comes last."""
    name = feed_or_default(feed)
    require(feed_known(name) or market_known(name, ticker), exit_code=ExitCode.NOT_FOUND)
    market = Market.objects.of_feed(name).get(ticker=ticker)
    if output != "table":
        stdout.write(
            render_one({"feed": name, **columns(market), "changes": _changes(market, changes)}, as_=output)
        )
        return
    stdout.write(render_one({"feed": name, **columns(market, without=("id", "feed_id", "raw_metadata"))}))
    if rows := _changes(market, changes):
        shown = [{name: _short(value) for name, value in row.items()} for row in rows]
        stdout.write(f"\nChanges, the latest first:\n{render(shown, tuple(rows[0]))}")
    if market.raw_metadata:
        stdout.write(f"\nAs the venue described it:\n{json.dumps(market.raw_metadata, indent=2)}\n")


def _changes(market: Market, most: int) -> list[dict[str, Any]]:
    shown = ("changed_at", "field_name", "old_value", "new_value", "cause")
    return list(market.changes.order_by("-changed_at", "-id").values(*shown)[:most])


def _short(value: object) -> object:
    """A description's change may be long; JSON has it whole."""
    return f"{value[:57]}..." if isinstance(value, str) and len(value) > 60 else value


def run_sync(*, feed: str | None, output: str, stdout: TextIO, stderr: TextIO) -> None:
    """Fetch every page and upsert it; rows that could not be kept are named on stderr."""
    from ssmd.market_sync import sync_from_venue  # an HTTP client, that the reading verbs need not load

    name = feed_or_default(feed)
    require(feed_usable(name))
    source = Feed.objects.get(name=name)
    version = source.version_on(timezone.now())
    try:
        result = sync_from_venue(source, version, connect_attempts=2)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        remedy = "Is it running? The simulated exchange starts with `ssmd up` or `ssmd exchange start`."
        problem = f"{version.rest_endpoint} does not answer: {error or type(error).__name__}"
        raise Refused(
            [Reason(problem, remedy if source.simulated else "")], exit_code=ExitCode.UNAVAILABLE
        ) from error
    stdout.write(_report(name, result, output))
    stderr.writelines(f"{number} not kept: {why}\n" for why, number in sorted(result.refused.items()))


def _report(feed: str, result: SyncResult, output: str) -> str:
    row = {
        "feed": feed,
        "pages": result.pages,
        "seen": result.seen,
        "created": result.created,
        "changed": result.changed,
        "unchanged": result.unchanged,
        "closed": result.closed,
        "refused": result.refused.total(),
    }
    return render_one(row, as_=output)
