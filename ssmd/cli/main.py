"""`ssmd <noun> <verb>`: finds the noun's module, parses, runs, and turns refusals into exit codes."""

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

from registry.refusal import ExitCode, Refused, require
from ssmd.cli.words import Parser

# One module of `ssmd.cli` per noun, imported only when it is asked for: `ssmd feed list` must not pay for Celery.
NOUNS = {
    "bootstrap": "Fill the registry with feeds, schemas and environments (idempotent)",
    "up": "Run everything on this machine",
    "feed": "Sources of market data and how to reach them",
    "schema": "Cap'n Proto schemas and their versions",
    "env": "Environments: what is recorded, streamed and stored where",
    "market": "What can be traded",
    "data": "What was recorded and what was lost",
    "why": "Why a day is, or is not, complete",
    "exchange": "The simulated exchange",
    "connector": "Exchange to capture log to bus",
    "shipper": "Capture log to raw archive",
    "archiver": "Bus to today's normalized archive",
    "gateway": "Admin, REST and WebSocket server",
    "login": "A new one-time link to the admin",
    "doctor": "Check this machine and this installation",
    "bench": "Measure, each figure beside its ceiling",
}

# These load neither Celery's models nor the admin and REST: `ssmd feed list` must not wait for them.
LIGHT = frozenset(
    {
        "feed",
        "schema",
        "env",
        "market",
        "data",
        "why",
        "doctor",
        "exchange",
        "connector",
        "shipper",
        "archiver",
    }
)
# These ask the registry before anything else: it must be there and migrated.
ASKS_REGISTRY = frozenset(
    {"feed", "schema", "env", "market", "data", "why", "connector", "shipper", "archiver", "gateway"}
)


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Run one command line; returns its exit code (see the design's list)."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ssmd.settings")
    try:
        noun = next((word for word in argv if not word.startswith("-")), "")
        options = vars(_parser(noun).parse_args(argv))
        return _call(noun, options)
    except Refused as refused:
        print(refused, file=sys.stderr)  # noqa: T201
        return refused.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `ssmd ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser(wanted: str) -> argparse.ArgumentParser:
    from ssmd import __version__

    parser = Parser(
        prog="ssmd",
        description="Stupid Simple Market Data",
        epilog="`ssmd NOUN --help` shows a noun's verbs.",
    )
    parser.add_argument("--version", action="version", version=f"ssmd {__version__}")
    groups = parser.add_subparsers(metavar="NOUN", required=True)
    for noun, line in NOUNS.items():
        if noun == wanted:
            _module(noun).add_parser(groups)
        else:
            groups.add_parser(noun, help=line)
    return parser


def _module(noun: str) -> Any:
    import django

    if noun in LIGHT:
        os.environ["SSMD_LIGHT"] = "1"
    django.setup()
    # Only for this process's settings: what it starts decides for itself.
    os.environ.pop("SSMD_LIGHT", None)
    return importlib.import_module(f"ssmd.cli.{noun}")


def _log_to_stderr() -> None:
    """Data go to stdout, and nothing else; processes set their own logs later."""
    if structlog := sys.modules.get("structlog"):  # who has not loaded it does not log
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def _call(noun: str, options: dict[str, Any]) -> int:
    """Call the chosen verb with just the options its signature names."""
    if noun in ASKS_REGISTRY:
        from registry.preflight import registry_ready

        require(registry_ready(), exit_code=ExitCode.UNAVAILABLE)
    _log_to_stderr()
    action = options.pop("run")
    offered = {**options, "stdout": sys.stdout, "stderr": sys.stderr}
    return action(**{name: offered[name] for name in inspect.signature(action).parameters}) or 0
