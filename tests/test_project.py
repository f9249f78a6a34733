"""Guards of the tree itself: what must not be committed, how large things may grow, where they lie."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ssmd", "registry", "secmaster", "streaming", "archive")
TOP_LEVEL = {
    *PACKAGES, "capnp", "environments", "tests", "deploy", "docs", ".ci",
    "manage.py", "pyproject.toml", "Makefile", "requirements.lock", "requirements-dev.lock",
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "SECURITY.md", ".gitignore", ".dockerignore",
}  # fmt: skip
VAGUE_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "base",
    "manager",
    "managers",
    "services",
    "service",
}
LONGEST_FILE, LONGEST_FUNCTION = 300, 60
# Put together here so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(" + "|".join(["wo" + "rk", "fa" + "rm", "ro" + "ot", "ho" + r"me/\w+"]) + ")/"
)
REGISTRY_HOST = re.compile(
    "|".join(["pypi" + r"\.org", "python" + "hosted", "arti" + "factory", r"registry\.npm" + "js"])
)


def tracked() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def product_files() -> list[Path]:
    return [
        path
        for path in tracked()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in PACKAGES
        and "migrations" not in path.parts
    ]


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        try:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_lock_holds_an_address() -> None:
    for lock in ROOT.glob("*.lock"):
        assert "://" not in lock.read_text(), lock.name


def test_every_locked_package_has_a_hash() -> None:
    for lock in ROOT.glob("*.lock"):
        blocks = re.split(r"\n(?=\S)", lock.read_text())
        assert [block.split()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block] == []


def test_the_folder_of_schemas_is_not_a_package() -> None:
    assert not (ROOT / "capnp" / "__init__.py").exists()
    assert {path.suffix for path in (ROOT / "capnp").iterdir()} == {".capnp"}


def test_the_top_level_is_as_decided() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} - TOP_LEVEL == set()


def test_no_module_has_a_vague_name() -> None:
    named = {
        path for path in tracked() if path.suffix == ".py" and {path.stem, path.parent.name} & VAGUE_NAMES
    }
    assert named == set()


def test_no_file_of_the_product_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in product_files()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_of_the_product_is_too_long() -> None:
    too_long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in product_files()
        for node in functions(path)
        if (node.end_lineno or node.lineno) - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert too_long == set()


def test_functions_are_short_in_the_median() -> None:
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in product_files()
        for node in functions(path)
    )
    assert lengths[len(lengths) // 2] <= 10


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine path", "registry host"])
def test_no_tracked_file_names_a_machine(pattern: re.Pattern[str]) -> None:
    assert {str(path): match[0] for path, text in texts() if (match := pattern.search(text))} == {}


def test_every_dependency_says_why_it_is_there() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    unexplained = [
        line.strip()
        for before, line in pairwise(["", *lines])
        if any(f'"{one}"' in line for one in wanted if not one.startswith("ssmd["))
        and "#" not in line
        and not line.startswith("requires = ")
        and not before.strip().startswith("#")
    ]
    assert unexplained == []


def test_the_commands_of_the_readme_exist() -> None:
    readme = "\n".join(
        re.findall(r"^```console\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    )
    from ssmd.cli.main import NOUNS

    nouns = set(re.findall(r"^\$ (?:\.venv/bin/)?ssmd ([a-z]+)", readme, re.MULTILINE))
    targets = set(re.findall(r"^\$ make ([a-z-]+)", readme, re.MULTILINE))
    known_targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert nouns - set(NOUNS) == set()
    assert targets - known_targets == set()
    assert {"up", "test"} <= targets
