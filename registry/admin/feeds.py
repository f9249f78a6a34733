"""Feeds, how to reach them, and when their venues trade."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from registry.admin.rows import TEXT_LINE, AsOfFilter, Recorded
from registry.models import Feed, FeedCalendar, FeedVersion, MaintenanceWindow


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


@admin.register(FeedVersion)
class FeedVersionAdmin(Recorded):
    list_display = ("feed", "version", "effective_from", "effective_to", "endpoint_template", "auth_method")
    list_display_links = ("version",)
    list_filter = (AsOfFilter, "feed", "protocol", "auth_method")
    list_select_related = ("feed",)
    search_fields = ("feed__name", "version", "endpoint_template")
    history_list_display = ("effective_to", "endpoint_template")
    formfield_overrides = TEXT_LINE

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


class MaintenanceWindowInline(admin.TabularInline[MaintenanceWindow, FeedCalendar]):
    model = MaintenanceWindow
    formfield_overrides = TEXT_LINE
    extra = 0
    can_delete = False


@admin.register(FeedCalendar)
class FeedCalendarAdmin(Recorded):
    list_display = (
        *("feed", "effective_from", "effective_to", "timezone", "hours", "holiday_calendar"),
        "maintenance",
    )
    list_display_links = ("feed", "effective_from")
    list_filter = (AsOfFilter, "feed", "holiday_calendar")
    list_select_related = ("feed",)
    search_fields = ("feed__name", "timezone")
    history_list_display = ("effective_to", "timezone", "open_time", "close_time")
    inlines = [MaintenanceWindowInline]
    fields = (
        *("feed", ("effective_from", "effective_to"), "timezone", ("open_time", "close_time")),
        "holiday_calendar",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the windows of all rows in one more query."""
        return super().get_queryset(request).prefetch_related("maintenance_windows")

    def has_change_permission(self, request: HttpRequest, obj: FeedCalendar | None = None) -> bool:
        """A closed calendar is past, and the past is not edited."""
        return (obj is None or obj.effective_to is None) and super().has_change_permission(request, obj)

    @admin.display
    def hours(self, calendar: FeedCalendar) -> str:
        """When it trades on a day, in its own time zone."""
        if calendar.open_time is None or calendar.close_time is None:
            return "around the clock"
        return f"{calendar.open_time:%H:%M}-{calendar.close_time:%H:%M}"

    @admin.display
    def maintenance(self, calendar: FeedCalendar) -> str:
        """Its weekly windows."""
        return ", ".join(str(window) for window in calendar.maintenance_windows.all()) or "-"
