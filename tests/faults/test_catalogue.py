"""Every fault that this release claims to handle has a test that goes through `prove`."""

import ast
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
CLAIMED = [
    # A46 is what cannot be found out, a loss without a number: docs/gaps.md and docs/quality.md say so.
    *(f"A{number}" for number in range(1, 46)),
    *(f"B{number}" for number in range(1, 18)),
    *(f"C{number}" for number in range(1, 20) if number != 10),
    *(f"D{number}" for number in range(1, 11)),
    *(f"E{number}" for number in range(1, 22)),
    *(f"F{number}" for number in range(1, 16)),
]


@cache
def proven() -> dict[str, list[str]]:
    """The ids of all tests that are marked with them and go through `prove`, with those tests (file::name)."""
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _proves(node):
                for one in (one for decorator in node.decorator_list for one in _ids(decorator)):
                    found.setdefault(one, []).append(f"{path.stem}::{node.name}")
    return found


def _proves(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    called = {getattr(node.func, "id", "") for node in ast.walk(test) if isinstance(node, ast.Call)}
    return any(name.startswith("prove") for name in called)


def _ids(decorator: ast.expr) -> list[str]:
    if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "fault":
        return [str(one.value) for one in decorator.args if isinstance(one, ast.Constant)]
    return []


@pytest.mark.parametrize("fault", CLAIMED)
def test_a_claimed_fault_is_proven_handled(fault: str) -> None:
    assert fault in proven()
