"""Lifecycle events into the security master, until stopped."""

from __future__ import annotations

from argparse import _SubParsersAction
from typing import Any


def add_verb(actions: _SubParsersAction[Any]) -> None:
    """`ssmd market follow`."""
    follow = actions.add_parser(
        "follow",
        help="Carry an environment's lifecycle events into the markets until stopped",
        description="Take in the lifecycle events of the bus, look new markets up, and publish every change of a "
        "market as {feed}.secmaster.{change}; waits for a bus or a stream that is not there yet.",
    )
    follow.add_argument("--env", metavar="NAME", help="environment (default: the applied one)")
    follow.add_argument("--feed", metavar="NAME", help="the environment that records this feed")
    follow.add_argument("--once", action="store_true", help="take in and publish what there is now, then end")
    follow.add_argument(
        "--metrics-port", type=int, default=0, metavar="PORT", help="serve /metrics on 127.0.0.1"
    )
    follow.set_defaults(run=follow_markets)


def follow_markets(*, env: str | None, feed: str | None, once: bool, metrics_port: int) -> None:
    """Ask the registry, then follow with plain values."""
    from pathlib import Path

    from django.conf import settings
    from django.utils import timezone

    from registry.preflight import environment_in_force, feed_usable
    from registry.refusal import require
    from ssmd.bus import bus_url
    from ssmd.market_follow import FollowerConfig, run

    now = timezone.now()
    version = environment_in_force(env, feed, now)
    require(feed_usable(version.feed.name, on=now))
    config = FollowerConfig(
        environment=version.environment.name,
        feed=version.feed,
        stream=version.spec.transport.stream,
        nats_url=bus_url(version.spec.transport.url),
        run_dir=Path(settings.RUN_DIR),
        metrics_port=metrics_port,
    )
    run(config, once=once)
