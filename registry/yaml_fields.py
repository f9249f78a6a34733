"""Reading typed values out of a mapping while collecting everything that is wrong. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import urlsplit

from registry.refusal import Reason


@dataclass(slots=True)
class Fields:
    """One mapping of a document; each read removes a key, and `close` refuses those left over."""

    values: dict[str, object]
    path: str
    problems: list[Reason]
    known: list[str] = field(default_factory=list)

    def wrong(self, key: str, problem: str, remedy: str = "") -> None:
        """Note a problem with the value at `key`."""
        self.problems.append(Reason(f"{self.where(key)}: {problem}", remedy))

    def where(self, key: str) -> str:
        """`spec.transport.url`, for messages."""
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str) -> object:
        """The raw value at `key`, or None."""
        self.known.append(key)
        return self.values.pop(key, None)

    def section(self, key: str, *, optional: bool = False) -> "Fields":
        """The mapping at `key`; when it is none, that is noted once, and nothing of what it would hold."""
        present = key in self.values
        value = self.take(key)
        if isinstance(value, dict):
            inner = {str(name): one for name, one in value.items()}
            return Fields(inner, self.where(key), self.problems)
        if optional and not present:
            return Fields({}, self.where(key), self.problems)
        self.wrong(key, _missing(present, value), "Write a mapping of keys and values.")
        return Fields({}, self.where(key), [])

    def text(self, key: str, *, default: str | None = None, pattern: str = r"(?s).+", form: str = "") -> str:
        """The string at `key`, which must match the whole `pattern`."""
        present = key in self.values
        value = self.take(key)
        if not present and default is not None:
            return default
        if not isinstance(value, str):
            self.wrong(
                key, _missing(present, value), form or "Write a text; in quotes where YAML reads a number."
            )
            return default or ""
        if not re.fullmatch(pattern, value):
            self.wrong(key, f"{value!r} is not accepted", form)
        return value

    def choice(self, key: str, options: Sequence[str], *, default: str | None = None) -> str:
        """One of `options`."""
        value = self.text(key, default=default, form=f"One of: {', '.join(options)}.")
        if value and value not in options:
            self.wrong(key, f"{value!r} is not accepted", suggestion(value, options))
        return value

    def number(self, key: str, *, default: int, least: int, most: int) -> int:
        """The whole number at `key`."""
        if key not in self.values:
            self.known.append(key)
            return default
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(key, f"{value!r} is not accepted", f"A whole number from {least} to {most}.")
            return default
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """true or false."""
        present = key in self.values
        value = self.take(key)
        if not present:
            return default
        if not isinstance(value, bool):
            self.wrong(key, f"{value!r} is not accepted", "Write true or false.")
            return default
        return value

    def address(self, key: str, schemes: Sequence[str], *, words: Sequence[str] = ()) -> str:
        """A URL without credentials in it, or one of `words`."""
        form = f"Like {schemes[0]}://host:port" + "".join(f", or {word}" for word in words) + "."
        value = self.text(key, form=form)
        if not value or value in words:
            return value
        try:
            parts = urlsplit(value)
            reachable = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            reachable, parts = False, urlsplit("")
        if "@" in value:
            self.wrong(
                key, "credentials stand in the URL", "Put them into a secret and name it under spec.secrets."
            )
        elif not reachable:
            self.wrong(key, f"{value!r} is not accepted", form)
        return value

    def close(self) -> None:
        """Refuse every key that nobody asked for."""
        for key in self.values:
            self.wrong(key, "no such key", suggestion(key, self.known))


def suggestion(word: str, known: Sequence[str]) -> str:
    """The near spelling, or all that is possible."""
    near = get_close_matches(word, known, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Possible: {', '.join(known)}."


def _missing(present: bool, value: object) -> str:
    return f"{value!r} is not accepted" if present else "is missing"
