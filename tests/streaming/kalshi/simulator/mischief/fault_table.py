"""The table of faults in docs/exchange.md, from the catalogue: `python -m ...` writes it, a test compares it."""

from pathlib import Path

from streaming.kalshi.simulator.mischief.catalogue import CATALOGUE, described

PAGE = Path(__file__).parents[5] / "docs" / "exchange.md"
HEAD = "|---|---|---|---|---|\n"


def table() -> str:
    """One line for each kind of fault."""
    rows = (described(kind) for kind in CATALOGUE.values())
    return "".join(
        f"| `{row['name']}` | {row['strikes']} | {row['parameters'] or '-'} | {row['what']} | {row['faults']} |\n"
        for row in rows
    )


def split(page: str) -> tuple[str, str]:
    """The page up to the table's first row, and the rows with all behind them."""
    before, head, after = page.partition(HEAD)
    return before + head, after


if __name__ == "__main__":
    before, _ = split(PAGE.read_text())
    PAGE.write_text(before + table())
