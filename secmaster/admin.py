"""Markets and their changes, for looking: the venue says what they are."""

from django.contrib import admin
from simple_history.admin import SimpleHistoryAdmin

from registry.admin import LookingOnly
from secmaster.models import (
    FollowerPosition,
    Market,
    MarketHistory,
    MarketLookup,
    MarketNotice,
    MarketSync,
)


@admin.register(Market)
class MarketAdmin(LookingOnly, SimpleHistoryAdmin):
    list_display = ("ticker", "feed", "status", "series_ticker", "open_time", "close_time", "result", "title")
    list_filter = ("feed", "status", "category", "result")
    list_select_related = ("feed",)
    search_fields = ("ticker", "event_ticker", "series_ticker", "title")
    history_list_display = ("status", "close_time", "result")
    show_full_result_count = False  # 100,000s of rows
    list_per_page = 50


@admin.register(MarketHistory)
class MarketHistoryAdmin(LookingOnly):
    list_display = ("changed_at", "market", "field_name", "old_value", "new_value", "cause")
    list_filter = ("field_name",)
    list_select_related = ("market",)
    search_fields = ("market__ticker",)
    show_full_result_count = False
    list_per_page = 50


@admin.register(MarketSync)
class MarketSyncAdmin(LookingOnly):
    list_display = ("feed", "begun_at", "ended_at", "seen")
    list_select_related = ("feed",)


@admin.register(FollowerPosition)
class FollowerPositionAdmin(LookingOnly):
    list_display = ("feed", "stream", "seq", "read_at", "epoch", "sync_wanted_at")
    list_select_related = ("feed",)


@admin.register(MarketLookup)
class MarketLookupAdmin(LookingOnly):
    list_display = ("event_ticker", "feed", "attempts", "due_at", "given_up_at", "last_error")
    list_filter = ("feed", ("given_up_at", admin.EmptyFieldListFilter))
    list_select_related = ("feed",)
    search_fields = ("event_ticker",)
    list_per_page = 50


@admin.register(MarketNotice)
class MarketNoticeAdmin(LookingOnly):
    list_display = ("id", "feed", "change", "ticker", "written_at")
    list_filter = ("feed", "change")
    list_select_related = ("feed",)
    search_fields = ("ticker",)
    show_full_result_count = False
    list_per_page = 50
