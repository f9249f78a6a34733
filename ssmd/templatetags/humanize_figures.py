"""Figures as people read them; the page's script writes the same forms."""

from django import template

register = template.Library()
_UNITS = ("B", "kB", "MB", "GB", "TB")


@register.filter
def grouped(value: int | None) -> str:
    """12345 as 12 345, with thin spaces that do not break; nothing as a dash."""
    return "–" if value in (None, "") else f"{value:,}".replace(",", "\u202f")


@register.filter
def size_of(value: int | None) -> str:
    """12345 bytes as 12.3 kB."""
    if value in (None, ""):
        return "–"
    size, unit = float(value or 0), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{value} B"
