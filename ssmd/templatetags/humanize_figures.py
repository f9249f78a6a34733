"""Figures as people read them; the page's script writes the same forms."""

from django import template

register = template.Library()
_UNITS = ("B", "kB", "MB", "GB", "TB")


@register.filter
def grouped(value: int | str | None) -> str:
    """12345 as 12 345, with thin spaces that do not break; nothing as a dash."""
    # A template gives "" for a figure that is not there.
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else "–"


@register.filter
def size_of(value: int | str | None) -> str:
    """12345 bytes as 12.3 kB."""
    if not isinstance(value, int):
        return "–"
    size, unit = float(value), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{value} B"
