"""Environments, their versions, and what was done to them."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import Truncator

from registry.admin.rows import TEXT_LINE, AsOfFilter, LookingOnly, Recorded, as_json, as_written
from registry.models import DeploymentLog, Environment, EnvironmentVersion


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
    formfield_overrides = TEXT_LINE
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


class RunsFilter(admin.SimpleListFilter):
    """Whole runs, unless steps are asked for."""

    title = "row"
    parameter_name = "row"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What is shown besides the runs alone."""
        return [("step", "steps"), ("all", "runs and steps")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Nothing chosen means runs, not all."""
        first, *others = super().choices(changelist)
        yield {**first, "display": "runs"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Runs, steps, or both."""
        return queryset if self.value() == "all" else queryset.filter(parent__isnull=self.value() != "step")


class StepInline(admin.TabularInline[DeploymentLog, DeploymentLog]):
    model = DeploymentLog
    verbose_name_plural = "steps"
    fields = ("step", "status", "started_at", "completed_at", "error_message")
    readonly_fields = fields
    ordering = ("started_at", "id")
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Steps are recorded while they run."""
        return False


@admin.register(DeploymentLog)
class DeploymentLogAdmin(LookingOnly, Recorded):
    list_display = (
        *("started_at", "environment", "action", "step", "date", "status", "took", "triggered", "error"),
    )
    list_display_links = ("started_at", "action")
    list_filter = (RunsFilter, "status", "action", "trigger", "environment_version__environment")
    list_select_related = ("environment_version__environment",)
    search_fields = ("error_message", "triggered_by", "step", "steps__error_message")
    date_hierarchy = "started_at"
    history_list_display = ("status", "completed_at")
    fields = (
        *("environment_version", "action", "parent", "step", "date", "status", "started_at", "completed_at"),
        *("error_message", "trigger", "triggered_by", "figures"),
    )
    readonly_fields = ("figures",)
    inlines = [StepInline]
    show_full_result_count = False

    @admin.display(ordering="environment_version")
    def environment(self, row: DeploymentLog) -> str:
        """Its name and version."""
        return f"{row.environment_version.environment.name} v{row.environment_version.version}"

    @admin.display
    def took(self, row: DeploymentLog) -> str:
        """Seconds from start to end."""
        if row.completed_at is None:
            return "-"
        return f"{(row.completed_at - row.started_at).total_seconds():,.1f} s"

    @admin.display(ordering="trigger")
    def triggered(self, row: DeploymentLog) -> str:
        """By whom or what."""
        return f"{row.trigger}: {row.triggered_by}"

    @admin.display
    def error(self, row: DeploymentLog) -> str:
        """The beginning of its message."""
        return Truncator(row.error_message or "-").chars(60)

    @admin.display(description="detail")
    def figures(self, row: DeploymentLog) -> str:
        """What it counted."""
        return as_json(row.detail)
