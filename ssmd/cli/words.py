"""argparse that answers a wrong word with the right one, and a wrong option with the usage of its own verb."""

import argparse
from typing import Any, NoReturn

from registry.refusal import did_you_mean


class Parser(argparse.ArgumentParser):
    """As argparse's; the parsers of nouns and verbs are of this class too."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        what = f"'{value}'" if action.option_strings else f"there is no '{value}'"
        raise argparse.ArgumentError(
            None if not action.option_strings else action,
            f"{what}: {did_you_mean(str(value), map(str, action.choices))}",
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Nothing is left to the parser above: it would answer with its usage, not with the verb's."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self._refuse(unknown)
        return parsed, unknown

    def _refuse(self, unknown: list[str]) -> NoReturn:
        options = [name for name in self._option_string_actions if name.startswith("--")]
        first = unknown[0].partition("=")[0]
        hint = f" {did_you_mean(first, options)}" if first.startswith("-") else ""
        self.error(f"not accepted here: {' '.join(unknown)}.{hint}")
