"""What all list pages share: rows for looking, rows with a past, and the filter by day."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from simple_history.admin import SimpleHistoryAdmin

TEXT_LINE: "dict[type[models.Field[Any, Any]], dict[str, Any]]" = {
    models.TextField: {"widget": forms.TextInput(attrs={"size": 90})}
}


class AsOfFilter(admin.SimpleListFilter):
    """Only rows in force: now, or on the day that the address names as `?as_of=2025-12-14`."""

    title = "in force"
    parameter_name = "as_of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Now, and the day asked for when it is another."""
        asked = request.GET.get(self.parameter_name, "")
        return [("now", "now"), *([(asked, f"on {asked}")] if asked not in ("", "now") else [])]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """The queryset's own `as_of`; a day that is none shows nothing."""
        asked = self.value()
        if not asked:
            return queryset
        now = datetime.now(UTC)
        try:
            return queryset.as_of(now if asked == "now" else datetime.strptime(asked, "%Y-%m-%d").date())
        except ValueError:
            return queryset.none()


class LookingOnly(admin.ModelAdmin[Any]):
    """Rows that processes write: shown, searched, never changed by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


class Recorded(SimpleHistoryAdmin):
    """Rows with a past: history is shown and never reverted to; nothing is deleted."""

    history_list_display: Sequence[str] = ("status",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: rows are closed, not removed."""
        return False


def as_written(text: str) -> str:
    """A file's text, escaped, with its line ends and indents."""
    return format_html('<pre style="margin:0; white-space:pre-wrap">{}</pre>', text)


def as_json(value: object) -> str:
    """A JSON column, indented."""
    return "-" if value in (None, {}, []) else as_written(json.dumps(value, indent=2, ensure_ascii=False))


def as_size(count: int | None) -> str:
    """Bytes as people say them."""
    return "-" if count is None else filesizeformat(count)
