"""YAML text to plain values, safely: no aliases, tags, doubled keys, great size or depth. Pure."""

from typing import Any

import yaml
from yaml.nodes import MappingNode, Node

from registry.refusal import Reason, Refused

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
_REMEDY = "Indent with spaces, close every bracket and quote; environments/demo.yaml shows the form."


def load_yaml(text: str) -> object:
    """The one document in `text`, or a refusal that names the line."""
    if len(text.encode()) > MAX_BYTES:
        raise Refused(
            [Reason(f"The file is larger than {MAX_BYTES // 1024} KiB", "An environment needs about one.")]
        )
    try:
        return _load(text)
    except yaml.MarkedYAMLError as error:
        raise Refused([_syntax(error)]) from error
    except yaml.YAMLError as error:
        raise Refused([Reason(f"Not YAML: {error}", _REMEDY)]) from error
    except RecursionError as error:
        raise Refused([Reason(f"Nested deeper than {MAX_DEPTH} levels")]) from error


def _load(text: str) -> object:
    loader = _PlainLoader(text)
    try:
        value = loader.get_single_data()
    finally:
        loader.dispose()
    if loader.doubled:
        raise Refused(loader.doubled)
    return value


def _syntax(error: yaml.MarkedYAMLError) -> Reason:
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    problem = f"Not YAML that is accepted here: {line}{error.problem or error.context}"
    return Reason(problem, _REMEDY)


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader without the things by which a short text becomes a great or a different one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.doubled: list[Reason] = []
        self._depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self._mark()
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) are not accepted; write it out", mark
            )
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = self._mark()
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _mark(self) -> Any:
        return self.peek_event().start_mark  # type: ignore[no-untyped-call]

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in seen:
                self.doubled.append(
                    Reason(
                        f"line {line}: '{name}' stands twice",
                        f"First on line {seen[name]}; keep one.",
                    )
                )
            seen.setdefault(name, line)
        return super().construct_mapping(node, deep=deep)
