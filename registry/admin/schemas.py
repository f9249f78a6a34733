"""Schema versions, and the ways from one to another."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from registry.admin.rows import AsOfFilter, LookingOnly, Recorded, as_json, as_written
from registry.models import SchemaMigration, SchemaMigrationRun, SchemaVersion


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


class SchemaMigrationRunInline(admin.TabularInline[SchemaMigrationRun, SchemaMigration]):
    model = SchemaMigrationRun
    fields = ("executed_at", "feed", "first_date", "last_date", "status", "executed_by", "error_message")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the names that a row shows."""
        related = ("feed", "migration__from_version", "migration__to_version")
        return super().get_queryset(request).select_related(*related)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Runs are recorded while they run."""
        return False


@admin.register(SchemaMigration)
class SchemaMigrationAdmin(LookingOnly, Recorded):
    list_display = ("from_version", "to_version", "migration_type", "status", "executed_at", "executed_by")
    list_display_links = ("from_version", "to_version")
    list_filter = ("status", "migration_type", "to_version__name")
    list_select_related = ("from_version", "to_version")
    search_fields = ("from_version__name", "to_version__version", "executed_by")
    history_list_display = ("status", "executed_at", "executed_by")
    fields = (*list_display, "script")
    readonly_fields = ("script",)
    inlines = [SchemaMigrationRunInline]

    @admin.display(description="migration script")
    def script(self, migration: SchemaMigration) -> str:
        """What to run."""
        return as_written(migration.migration_script) if migration.migration_script else "-"


@admin.register(SchemaMigrationRun)
class SchemaMigrationRunAdmin(LookingOnly):
    list_display = ("executed_at", "migration", "feed", "first_date", "last_date", "status", "executed_by")
    list_display_links = ("executed_at", "migration")
    list_filter = ("status", "feed")
    list_select_related = ("feed", "migration__from_version", "migration__to_version")
    search_fields = ("feed__name", "executed_by", "error_message")
    date_hierarchy = "executed_at"
    fields = (*list_display, "completed_at", "error_message", "report_text")

    @admin.display(description="report")
    def report_text(self, run: SchemaMigrationRun) -> str:
        """What differs from the version before."""
        return as_json(run.report)
