"""Rows as aligned text, JSON, NDJSON or CSV."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

FORMATS = ("table", "json", "ndjson", "csv")
Row = Mapping[str, Any]


def render(rows: Sequence[Row], columns: Sequence[str], *, as_: str = "table") -> str:
    """`rows` in the asked format; a table shows `columns` only, the others show every key."""
    if as_ == "json":
        return json.dumps({"data": list(rows)}, indent=2, default=str) + "\n"
    if as_ == "ndjson":
        return "".join(json.dumps(row, default=str) + "\n" for row in rows)
    if as_ == "csv":
        return _csv(rows, columns)
    return _aligned(rows, columns)


def _csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    return out.getvalue()


def _aligned(rows: Sequence[Row], columns: Sequence[str]) -> str:
    cells = [
        [name.replace("_", " ") for name in columns],
        *([_cell(row.get(name)) for name in columns] for row in rows),
    ]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return str(value)
