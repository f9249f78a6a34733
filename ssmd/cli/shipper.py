"""Capture log to raw archive."""

from __future__ import annotations

from argparse import _SubParsersAction
from typing import Any


def add_parser(groups: _SubParsersAction[Any]) -> None:
    """`ssmd shipper start`."""
    actions = groups.add_parser("shipper", help=__doc__).add_subparsers(metavar="VERB", required=True)
    start = actions.add_parser("start", help="Ship every session of an environment until stopped")
    start.add_argument("--env", metavar="NAME", help="environment (default: the applied one)")
    start.add_argument("--feed", metavar="NAME", help="the environment that records this feed")
    start.add_argument(
        "--metrics-port",
        type=int,
        default=0,
        metavar="PORT",
        help="serve /metrics on 127.0.0.1 (default: off)",
    )
    start.set_defaults(run=start_shipper)


def start_shipper(*, env: str | None, feed: str | None, metrics_port: int) -> None:
    """Ask the registry, then ship with plain values."""
    from django.conf import settings
    from django.utils import timezone

    from archive.shipper import ShipperConfig, run
    from archive.store import open_store
    from registry.preflight import environment_in_force, registry_ready
    from registry.refusal import ExitCode, require
    from ssmd import __version__

    require(registry_ready(), exit_code=ExitCode.UNAVAILABLE)
    version = environment_in_force(env, feed, timezone.now())
    raw = version.spec.storage.raw

    run(
        ShipperConfig(
            environment=version.environment.name,
            feed=version.feed.name,
            capture=settings.CAPTURE_DIR / version.environment.name,
            store=open_store(raw, settings.SSMD_HOME, secrets=version.spec.secrets),
            version=__version__,
            part_seconds=raw.part_seconds,
            metrics_port=metrics_port,
        )
    )
