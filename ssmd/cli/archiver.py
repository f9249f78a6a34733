"""Bus to today's normalized archive."""

from __future__ import annotations

from argparse import _SubParsersAction
from typing import Any


def add_parser(groups: _SubParsersAction[Any]) -> None:
    """`ssmd archiver start`."""
    actions = groups.add_parser("archiver", help=__doc__).add_subparsers(metavar="VERB", required=True)
    start = actions.add_parser(
        "start",
        help="Archive an environment's events of today until stopped",
        description="Write what is on the bus as provisional normalized parts until stopped; waits for a bus or a "
        "stream that is not there yet. Several at once do no harm.",
    )
    start.add_argument("--env", metavar="NAME", help="environment (default: the applied one)")
    start.add_argument("--feed", metavar="NAME", help="the environment that records this feed")
    start.add_argument(
        "--metrics-port",
        type=int,
        default=0,
        metavar="PORT",
        help="serve /metrics on 127.0.0.1 (default: off)",
    )
    start.set_defaults(run=start_archiver)


def start_archiver(*, env: str | None, feed: str | None, metrics_port: int) -> None:
    """Ask the registry, then archive with plain values."""
    from django.conf import settings
    from django.utils import timezone

    from archive.archiver import ArchiverConfig, run
    from archive.store import open_store
    from registry.preflight import environment_in_force, registry_ready
    from registry.refusal import ExitCode, require
    from ssmd import __version__
    from ssmd.bus import bus_url

    require(registry_ready(), exit_code=ExitCode.UNAVAILABLE)
    version = environment_in_force(env, feed, timezone.now())
    normalized, transport = version.spec.storage.normalized, version.spec.transport

    run(
        ArchiverConfig(
            environment=version.environment.name,
            feed=version.feed.name,
            stream=transport.stream,
            nats_url=bus_url(transport.url),
            store=open_store(normalized, settings.SSMD_HOME, secrets=version.spec.secrets),
            version=__version__,
            part_seconds=normalized.part_seconds,
            metrics_port=metrics_port,
        )
    )
