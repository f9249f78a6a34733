"""What a process asks of its files, in order: for the rules of which only a power cut would tell."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call from here on as `fsync NAME`; a hidden file is `tmp`."""
    found: list[str] = []

    def note(call: str, name_of: Callable[..., str]) -> None:
        real = getattr(os, call)

        def noted(*words: Any, **options: Any) -> Any:
            name = name_of(*words)
            answer = real(*words, **options)
            found.append(f"{call} {'tmp' if name.startswith('.') else name}")
            return answer

        monkeypatch.setattr(os, call, noted)

    for call in ("write", "fsync", "fdatasync"):
        note(call, lambda handle, *_: Path(f"/proc/self/fd/{handle}").readlink().name)
    for call in ("link", "replace"):
        note(call, lambda _, target: Path(target).name)
    note("mkdir", lambda path, *_: Path(path).name)
    return found
