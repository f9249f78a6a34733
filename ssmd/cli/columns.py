"""A model's row as a mapping keyed by the design's column names."""

from collections.abc import Collection
from typing import Any

from django.db.models import Model


def columns(row: Model, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Every column with its value, foreign keys as `..._id`."""
    fields = (field for field in row._meta.concrete_fields if field.column not in without)
    return {str(field.column): getattr(row, field.attname) for field in fields}
