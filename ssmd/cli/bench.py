"""Measure, each figure beside its ceiling."""

import importlib
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from registry.refusal import ExitCode, Reason, Refused
from ssmd.cli.options import add_output
from ssmd.cli.table import render

NEEDS_DJANGO = False
NAMES = ("connector", "capture", "shipper", "archiver", "normalize", "registry", "up", "seal")
COLUMNS = ("name", "value", "unit", "ceiling", "ratio")
_ROOT = Path(__file__).resolve().parents[2]


def add_parser(groups: Any) -> None:
    """`ssmd bench NAME`."""
    parser: ArgumentParser = groups.add_parser(
        "bench",
        help=__doc__,
        description="Measure on this machine; the ceiling is the bare library doing the same work in the same run. "
        "Recorded frames are used where SSMD_RECORDINGS names their folder, simulated ones elsewhere.",
    )
    parser.add_argument("name", choices=(*NAMES, "all"))
    add_output(parser)
    parser.set_defaults(run=bench)


def bench(*, name: str, output: str, stdout: TextIO, stderr: TextIO) -> None:
    """Run one benchmark, or all of them."""
    if not (_ROOT / "tests" / "bench").is_dir():
        raise Refused(
            [
                Reason(
                    "the benchmarks are not installed",
                    "They come with the source tree: clone it and run `make bench`.",
                )
            ],
            exit_code=ExitCode.UNAVAILABLE,
        )
    sys.path.insert(0, str(_ROOT))
    rows = []
    for one in NAMES if name == "all" else (name,):
        stderr.write(f"measuring {one} ...\n")
        stderr.flush()
        rows += [figure.row() for figure in importlib.import_module(f"tests.bench.{one}").measure()]
    stdout.write(render(rows, COLUMNS, as_=output))
