"""Markets and their changes, for looking: the venue says what they are."""

from django.contrib import admin
from simple_history.admin import SimpleHistoryAdmin

from registry.admin import LookingOnly
from secmaster.models import Market, MarketHistory


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
    list_display = ("changed_at", "market", "field_name", "old_value", "new_value")
    list_filter = ("field_name",)
    list_select_related = ("market",)
    search_fields = ("market__ticker",)
    show_full_result_count = False
    list_per_page = 50
