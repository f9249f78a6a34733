"""The registry for looking: lists, filters, history; what follows from the archive cannot be edited."""

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

from registry.models import (
    ArchivePart,
    DataGap,
    DataInventory,
    Environment,
    EnvironmentVersion,
    Feed,
    FeedVersion,
    SchemaVersion,
)

admin.site.site_header = "ssmd"
admin.site.site_title = "ssmd"
admin.site.index_title = "What is true, and when"
admin.site.enable_nav_sidebar = False  # the lists need the width


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


class FeedVersionInline(admin.TabularInline[FeedVersion, Feed]):
    model = FeedVersion
    fields = ("version", "effective_from", "effective_to", "endpoint_template", "secret_ref")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Versions have a form of their own."""
        return False


@admin.register(Feed)
class FeedAdmin(Recorded):
    list_display = ("name", "display_name", "status", "venue", "simulated", "description")
    list_filter = ("status", "simulated", "feed_type", "venue")
    search_fields = ("name", "display_name", "description")
    readonly_fields = ("created_at", "updated_at")
    inlines = [FeedVersionInline]


def as_written(text: str) -> str:
    """A file's text, escaped, with its line ends and indents."""
    return format_html('<pre style="margin:0; white-space:pre-wrap">{}</pre>', text)


_TEXT_LINE = {models.TextField: {"widget": forms.TextInput(attrs={"size": 90})}}


@admin.register(FeedVersion)
class FeedVersionAdmin(Recorded):
    list_display = ("feed", "version", "effective_from", "effective_to", "endpoint_template", "auth_method")
    list_display_links = ("version",)
    list_filter = (AsOfFilter, "feed", "protocol", "auth_method")
    list_select_related = ("feed",)
    search_fields = ("feed__name", "version", "endpoint_template")
    history_list_display = ("effective_to", "endpoint_template")
    formfield_overrides = _TEXT_LINE

    def has_change_permission(self, request: HttpRequest, obj: FeedVersion | None = None) -> bool:
        """A closed version is past, and the past is not edited."""
        return (obj is None or obj.effective_to is None) and super().has_change_permission(request, obj)

    fieldsets = [
        (None, {"fields": ["feed", "version", ("effective_from", "effective_to")]}),
        ("Connection", {"fields": ["protocol", "endpoint_template", "auth_method", "secret_ref"]}),
        (
            "Capabilities",
            {
                "fields": [
                    ("supports_orderbook", "supports_trades", "supports_historical"),
                    ("max_symbols_per_connection", "rate_limit_per_second"),
                ]
            },
        ),
        ("Dialect", {"fields": ["subscribe_params", "parser_config"]}),
    ]


@admin.register(SchemaVersion)
class SchemaVersionAdmin(Recorded):
    list_display = ("name", "version", "format", "status", "effective_from", "short_hash", "hash_is_right")
    list_display_links = ("name", "version")
    list_filter = (AsOfFilter, "status", "format", "name")
    search_fields = ("name", "version", "schema_hash")
    fields = (
        *("name", "version", "format", "status", "effective_from", "deprecated_at", "compatible_with"),
        *("breaking_changes", "schema_hash", "definition", "created_at"),
    )
    # What was registered is fixed; only its life goes on.
    readonly_fields = (
        "name",
        "version",
        "format",
        "effective_from",
        "schema_hash",
        "definition",
        "created_at",
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A definition is compiled before it is registered, which no form does."""
        return False

    @admin.display
    def definition(self, schema: SchemaVersion) -> str:
        """The registered text."""
        return as_written(schema.schema_definition)

    @admin.display(description="SHA-256")
    def short_hash(self, schema: SchemaVersion) -> str:
        """Enough of it to tell two apart."""
        return schema.schema_hash[:12]

    @admin.display(description="hash is right", boolean=True)
    def hash_is_right(self, schema: SchemaVersion) -> bool:
        """Whether the text is still the one registered."""
        return schema.hash_is_right


class EnvironmentVersionInline(admin.TabularInline[EnvironmentVersion, Environment]):
    model = EnvironmentVersion
    fields = ("version", "feed", "valid_from", "valid_to", "deployed_by")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Versions come from files."""
        return False


@admin.register(Environment)
class EnvironmentAdmin(Recorded):
    list_display = ("name", "status", "description", "created_at")
    list_filter = ("status",)
    search_fields = ("name", "description")
    readonly_fields = ("created_at",)
    formfield_overrides = _TEXT_LINE
    inlines = [EnvironmentVersionInline]


@admin.register(EnvironmentVersion)
class EnvironmentVersionAdmin(LookingOnly, Recorded):
    """A configuration is what its hash says: it is replaced by the next version, never edited."""

    list_display = ("environment", "version", "feed", "valid_from", "valid_to", "deployed_by", "short_hash")
    fields = (
        *("environment", "version", "feed", "valid_from", "valid_to", "deployed_at", "deployed_by"),
        *("git_commit", "config_hash", "configuration"),
    )
    readonly_fields = ("configuration",)
    list_display_links = ("environment", "version")
    list_filter = (AsOfFilter, "environment", "feed")
    list_select_related = ("environment", "feed")
    search_fields = ("environment__name", "config_hash")
    history_list_display = ("valid_from", "valid_to")

    @admin.display
    def configuration(self, version: EnvironmentVersion) -> str:
        """The file's text."""
        return as_written(version.config_yaml)

    @admin.display(description="SHA-256")
    def short_hash(self, version: EnvironmentVersion) -> str:
        """Enough of it to tell two apart."""
        return version.config_hash[:12]


@admin.register(DataInventory)
class DataInventoryAdmin(LookingOnly):
    list_display = (
        "date",
        "feed",
        "data_type",
        "schema_version",
        "status",
        "record_count",
        "size",
        "symbol_count",
        "gap_count",
        "quality_score",
        "last_timestamp",
    )
    list_filter = ("feed", "data_type", "status")
    list_select_related = ("feed",)
    search_fields = ("feed__name", "storage_path")
    date_hierarchy = "date"

    @admin.display(ordering="byte_size")
    def size(self, row: DataInventory) -> str:
        """As people say it."""
        return "-" if row.byte_size is None else filesizeformat(row.byte_size)


@admin.register(DataGap)
class DataGapAdmin(LookingOnly):
    list_display = (
        "gap_start",
        "gap_end",
        "feed",
        "gap_type",
        "fault",
        "planned",
        "healable",
        "resolved",
        "session",
    )
    list_filter = ("feed", "gap_type", "fault", "planned", "resolved")
    list_select_related = ("feed",)
    search_fields = ("session", "notes")
    date_hierarchy = "date"


@admin.register(ArchivePart)
class ArchivePartAdmin(LookingOnly):
    list_display = ("date", "feed", "session", "first_n", "last_n", "rows", "stored_bytes", "ingested_at")
    list_display_links = ("session",)
    list_filter = ("feed", "environment")
    list_select_related = ("feed",)
    search_fields = ("session", "key")
    date_hierarchy = "date"
    show_full_result_count = False  # parts come every few seconds: counting them all twice is slow
