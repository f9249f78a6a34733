"""`ssmd <noun> <verb>`: finds the noun's module, parses, runs, and turns refusals into exit codes."""

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

from registry.refusal import Refused

# One module of `ssmd.cli` per noun, imported only when it is asked for: `ssmd feed list` must not pay for Celery.
NOUNS = {
    "bootstrap": "Fill the registry with feeds, schemas and environments (idempotent)",
    "up": "Run everything on this machine",
    "feed": "Sources of market data and how to reach them",
    "schema": "Cap'n Proto schemas and their versions",
    "env": "Environments: what is recorded, streamed and stored where",
    "market": "What can be traded",
    "data": "What was recorded and what was lost",
    "exchange": "The simulated exchange",
    "connector": "Exchange to capture log to bus",
    "shipper": "Capture log to raw archive",
    "gateway": "Admin, REST and WebSocket server",
    "doctor": "Check this machine and this installation",
    "bench": "Measure, each figure beside its ceiling",
}


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Run one command line; returns its exit code (see the design's list)."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ssmd.settings")
    try:
        options = vars(_parser(argv).parse_args(argv))
        return _call(options)
    except Refused as refused:
        print(refused, file=sys.stderr)  # noqa: T201
        return refused.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `ssmd ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    from ssmd import __version__

    parser = argparse.ArgumentParser(
        prog="ssmd",
        description="Stupid Simple Market Data",
        epilog="`ssmd NOUN --help` shows a noun's verbs.",
    )
    parser.add_argument("--version", action="version", version=f"ssmd {__version__}")
    groups = parser.add_subparsers(metavar="NOUN", required=True)
    wanted = next((word for word in argv if not word.startswith("-")), None)
    for noun, line in NOUNS.items():
        if noun == wanted:
            _module(noun).add_parser(groups)
        else:
            groups.add_parser(noun, help=line)
    return parser


def _module(noun: str) -> Any:
    module = importlib.import_module(f"ssmd.cli.{noun}")
    if getattr(module, "NEEDS_DJANGO", True):
        import django

        django.setup()
    return module


def _call(options: dict[str, Any]) -> int:
    """Call the chosen verb with just the options its signature names."""
    action = options.pop("run")
    offered = {**options, "stdout": sys.stdout, "stderr": sys.stderr}
    return action(**{name: offered[name] for name in inspect.signature(action).parameters}) or 0
