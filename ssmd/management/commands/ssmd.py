"""`manage.py ssmd <noun> <verb>`: the same commands as the console script."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from ssmd.cli.main import run


class Command(BaseCommand):
    help = "The operators' commands; `manage.py ssmd --help` lists them"

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand the words after `ssmd` to the one parser."""
        sys.exit(run(argv[2:]))

    def handle(self, *args: Any, **options: Any) -> None:
        """For `call_command("ssmd", "feed", "list")`."""
        code = run([str(word) for word in args])
        if code:
            sys.exit(code)

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("args", nargs="*")
