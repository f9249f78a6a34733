"""Fill the registry with feeds, schemas and environments; harmless to repeat."""

from argparse import _SubParsersAction
from typing import Any, TextIO

from registry.bootstrap import bootstrap


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd bootstrap`."""
    parser = groups.add_parser("bootstrap", help=__doc__, description=__doc__)
    parser.add_argument(
        "--sim-endpoint", metavar="URL", help="where the simulated exchange listens (ws://...)"
    )
    parser.set_defaults(run=run_bootstrap)


def run_bootstrap(*, sim_endpoint: str | None, stdout: TextIO) -> None:
    """Make what is missing and say what was made."""
    made = bootstrap(sim_endpoint=sim_endpoint)
    stdout.write("\n".join(made or ["Nothing to do: all is there."]) + "\n")
