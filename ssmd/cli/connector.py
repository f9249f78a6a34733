"""Exchange to capture log to bus."""

import asyncio
import dataclasses
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from functools import partial
from typing import Any

import httpx
from django.conf import settings

from registry.preflight import RecordingPlan, connector_plan
from registry.refusal import Reason, require
from registry.secrets import resolve
from secmaster.preflight import market_known
from ssmd import __version__
from ssmd.bus import bus_url
from ssmd.key_check import pem_usable
from streaming import connector_main
from streaming.connector_config import ConnectorConfig
from streaming.kalshi.rest import Credentials, KalshiRest
from streaming.kalshi.shards import ALL, Shard, parse_shard
from streaming.transport import StreamSpec


def add_parser(groups: Any) -> None:
    """`ssmd connector start`."""
    actions = groups.add_parser("connector", help=__doc__).add_subparsers(metavar="VERB", required=True)
    start: ArgumentParser = actions.add_parser(
        "start",
        help="Record one environment until SIGTERM",
        description="Record one environment until SIGTERM.",
    )
    start.add_argument("--env", metavar="NAME", help="the environment (default: the one applied)")
    start.add_argument("--feed", metavar="NAME", help="the feed, instead of an environment")
    start.add_argument(
        "--symbols",
        metavar="A,B",
        type=_symbols,
        default=(),
        help="only these order books (tickers; with --feed)",
    )
    start.add_argument(
        "--metrics-port", type=int, default=0, metavar="PORT", help="serve /metrics on 127.0.0.1"
    )
    start.add_argument(
        "--shard",
        metavar="I/N",
        type=_shard,
        default=ALL,
        help="only the order books of every N-th market: the I-th of N connectors; the first takes trades and tickers too",
    )
    start.add_argument(
        "--take-over",
        action="store_true",
        help="replace a connector that runs without losing a frame: it ends once this one is ready",
    )
    start.set_defaults(run=start_connector)


def start_connector(
    *,
    env: str | None,
    feed: str | None,
    symbols: tuple[str, ...],
    metrics_port: int,
    shard: Shard,
    take_over: bool,
) -> None:
    """Ask the registry, then run with plain values."""
    plan = connector_plan(env, feed=feed, symbols=symbols)
    credentials = credentials_of(plan)
    require(symbols_known(plan, symbols, credentials))

    config = config_of(plan, credentials, metrics_port=metrics_port, shard=shard)
    connector_main.run(dataclasses.replace(config, take_over=take_over))


def credentials_of(plan: RecordingPlan) -> Credentials:
    """The venue's key, read now; refused when it is no key at all."""
    secret = resolve(plan.secret_ref)
    credentials = Credentials(secret["api_key"].reveal().strip(), secret["api_secret"].reveal())
    require(pem_usable(credentials.private_key, plan.secret_ref))
    return credentials


def config_of(
    plan: RecordingPlan, credentials: Credentials, *, metrics_port: int = 0, shard: Shard = ALL
) -> ConnectorConfig:
    """The plan as the connector's configuration."""
    transport = plan.spec.transport
    wanted = {
        kind: frozenset(one.value for one in plan.filters if one.kind == kind)
        for kind in ("ticker", "series", "category")
    }
    return ConnectorConfig(
        feed=plan.feed,
        feed_version=plan.feed_version,
        environment=plan.environment,
        environment_version=plan.environment_version,
        config_hash=plan.config_hash,
        endpoint=plan.endpoint,
        rest_endpoint=plan.rest_endpoint,
        credentials=credentials,
        nats_url=bus_url(transport.url),
        stream=StreamSpec(transport.stream, plan.feed, transport.replicas, transport.max_bytes),
        capture=settings.CAPTURE_DIR / plan.environment,
        code_version=__version__,
        tickers=wanted["ticker"],
        series=wanted["series"],
        categories=wanted["category"],
        subscribe=dict(plan.subscribe_params),
        with_raw=transport.raw == "core",
        metrics_port=metrics_port,
        max_bytes=plan.spec.capture.max_bytes,
        read_key=partial(credentials_of, plan),
        books_per_connection=plan.spec.capture.books_per_connection,
        connections=plan.spec.capture.connections,
        shard=shard,
    )


def symbols_known(plan: RecordingPlan, symbols: Sequence[str], credentials: Credentials) -> list[Reason]:
    """Whether the venue has these markets: asked of the registry, and of the venue where that knows none of the name."""
    doubtful = {ticker: reasons for ticker in symbols if (reasons := market_known(plan.feed, ticker))}
    if not doubtful:
        return []
    try:
        listed = asyncio.run(_listed(plan.rest_endpoint, credentials, sorted(doubtful)))
    except (httpx.HTTPError, ValueError):
        return []  # it does not answer: what it has will be known when it does
    return [reason for ticker, reasons in doubtful.items() if ticker not in listed for reason in reasons]


async def _listed(endpoint: str, credentials: Credentials, tickers: list[str]) -> set[str]:
    async with KalshiRest(endpoint, credentials) as rest:
        return {row["ticker"] async for page in rest.markets(tickers=",".join(tickers)) for row in page}


def _symbols(text: str) -> tuple[str, ...]:
    return tuple(ticker.strip() for ticker in text.split(",") if ticker.strip())


def _shard(text: str) -> Shard:
    try:
        return parse_shard(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
