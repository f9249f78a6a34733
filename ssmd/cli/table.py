"""Rows as aligned text, JSON, NDJSON or CSV; one object as lines of its keys, or JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

FORMATS = ("table", "json", "ndjson", "csv")
Row = Mapping[str, Any]


def render(rows: Sequence[Row], columns: Sequence[str], *, as_: str = "table") -> str:
    """`rows` in the asked format; a table shows `columns` only, the others show every key."""
    if as_ == "json":
        return json.dumps({"data": list(rows)}, indent=2, default=plain) + "\n"
    if as_ == "ndjson":
        return "".join(json.dumps(row, default=plain) + "\n" for row in rows)
    if as_ == "csv":
        return _csv(rows, columns)
    return _aligned(rows, columns)


def render_one(row: Row, *, as_: str = "table") -> str:
    """One object: a line for each key that has a value; in JSON `data` is the object with all its keys."""
    if as_ == "json":
        return json.dumps({"data": row}, indent=2, default=plain) + "\n"
    if as_ != "table":
        return render([row], list(row), as_=as_)
    shown = {name.replace("_", " "): _cell(value) for name, value in row.items() if value not in (None, "")}
    width = max((len(name) for name in shown), default=0)
    return "".join(f"{name.ljust(width)}  {value}\n" for name, value in shown.items())


def plain(value: Any) -> Any:
    """What JSON has no type for: times as RFC 3339 with Z, exact decimals as numbers."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):  # at most 15 digits: a JSON number holds them exactly
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def size(count: int | None) -> str:
    """Bytes for people: `523MB`, in steps of 1000."""
    if count is None:
        return "-"
    value, units = float(count), ["B", "KB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    digits = 1 if value < 10 and units[0] != "B" else 0
    return f"{value:.{digits}f}{units[0]}"


def _csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, default=plain)
    # A spreadsheet would run a text that begins like a formula.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return plain(value) if isinstance(value, date | Decimal) else value


def _aligned(rows: Sequence[Row], columns: Sequence[str]) -> str:
    heads = [name.replace("_", " ") for name in columns]
    cells = [heads, *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "-"
    if isinstance(value, dict):
        return json.dumps(value, default=plain)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z" if value.tzinfo else str(value)
    return _printable(str(value))


def _printable(text: str) -> str:
    """A venue's title may hold control characters; a terminal would obey them."""
    return "".join(char if char.isprintable() else " " for char in text)
