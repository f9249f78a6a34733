"""A new one-time link to the admin."""

from argparse import _SubParsersAction
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings

from ssmd.runtime.home import web_address
from ssmd.runtime.login import offer


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd login`."""
    description = (
        "A new one-time link to the admin of the running `ssmd up`; an earlier link is worth nothing then."
    )
    groups.add_parser("login", help=__doc__, description=description).set_defaults(run=new_link)


def new_link(*, stdout: TextIO) -> None:
    """Print the link; exit 6 when `ssmd up` does not run."""
    address = web_address(Path(settings.SSMD_HOME))
    stdout.write(f"http://{address}/login/{offer()}\n")
