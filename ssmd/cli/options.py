"""Options that many commands share."""

from argparse import ArgumentParser

from ssmd.cli.table import FORMATS


def add_output(parser: ArgumentParser) -> None:
    """`-o table|json|ndjson|csv`, and `--json` for short; the verb takes `output: str`."""
    parser.add_argument("-o", "--output", choices=FORMATS, default="table", help="format (default: table)")
    parser.add_argument(
        "--json", action="store_const", const="json", dest="output", help="the same as -o json"
    )
