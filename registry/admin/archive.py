"""What the archive holds, what is wrong with it, and what was lost: all follows from manifests."""

from django.contrib import admin

from registry.admin.rows import LookingOnly, as_json, as_size
from registry.models import (
    ArchivePart,
    CaptureSession,
    DataGap,
    DataInventory,
    DataQualityIssue,
    NormalizedPart,
    SealedDay,
)


@admin.register(DataInventory)
class DataInventoryAdmin(LookingOnly):
    list_display = (
        *("date", "feed", "data_type", "schema", "status", "records", "size", "symbols", "gaps", "quality"),
        "last_timestamp",
    )
    list_filter = ("feed", "data_type", "status")
    list_select_related = ("feed",)
    search_fields = ("feed__name", "storage_path")
    date_hierarchy = "date"

    @admin.display(ordering="schema_version")
    def schema(self, row: DataInventory) -> str:
        """The version of normalized data."""
        return row.schema_version or "-"

    @admin.display(ordering="record_count")
    def records(self, row: DataInventory) -> str:
        """How many, in groups of three digits."""
        return "-" if row.record_count is None else f"{row.record_count:,}"

    @admin.display(ordering="symbol_count")
    def symbols(self, row: DataInventory) -> str:
        """How many tickers."""
        return "-" if row.symbol_count is None else f"{row.symbol_count:,}"

    @admin.display(ordering="gap_count")
    def gaps(self, row: DataInventory) -> int:
        """How many losses."""
        return row.gap_count

    @admin.display(ordering="quality_score")
    def quality(self, row: DataInventory) -> str:
        """From 0.00 to 1.00."""
        return "-" if row.quality_score is None else f"{row.quality_score:.2f}"

    @admin.display(ordering="byte_size")
    def size(self, row: DataInventory) -> str:
        """As people say it."""
        return as_size(row.byte_size)


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


@admin.register(DataQualityIssue)
class DataQualityIssueAdmin(LookingOnly):
    list_display = ("date", "feed", "issue_type", "severity", "count", "session", "n", "detected_at")
    list_display_links = ("date", "issue_type")
    list_filter = ("feed", "severity", "issue_type")
    list_select_related = ("feed",)
    search_fields = ("session", "issue_type")
    date_hierarchy = "date"
    fields = (*list_display, "inventory", "sample")

    @admin.display(description="sample data")
    def sample(self, issue: DataQualityIssue) -> str:
        """The first case."""
        return as_json(issue.sample_data)


@admin.register(CaptureSession)
class CaptureSessionAdmin(LookingOnly):
    list_display = (*("session", "feed", "started_at", "ended_at", "end_reason", "records", "lacking"),)
    list_filter = ("feed", "environment", "end_reason")
    list_select_related = ("feed",)
    search_fields = ("session", "config_hash")
    date_hierarchy = "started_at"
    fields = (
        *("session", "feed", "environment", "environment_version", "config_hash", "feed_version"),
        *("connector_version", "subscribed", "started_at", "ended_at", "end_reason", "first_n", "last_n"),
        *("records", "lacking"),
    )

    @admin.display(description="subscribe")
    def subscribed(self, session: CaptureSession) -> str:
        """What it sent with each subscription."""
        return as_json(session.subscribe)

    @admin.display
    def lacking(self, session: CaptureSession) -> int:
        """Records up to the last one that no committed part holds."""
        return session.last_n - session.first_n + 1 - session.records


@admin.register(SealedDay)
class SealedDayAdmin(LookingOnly):
    list_display = (
        *("date", "feed", "version", "covers", "raw", "normalized", "overlap_count", "nats_lost_count"),
        *("verified", "committed_at"),
    )
    list_display_links = ("date", "version")
    list_filter = ("feed", "environment", "is_partial")
    list_select_related = ("feed",)
    search_fields = ("manifest_sha256", "plan_sha256", "manifest_key")
    date_hierarchy = "date"
    fields = (
        *("feed", "environment", "date", "version", "covers", "committed_at", "raw", "normalized"),
        *("overlap_count", "nats_lost_count", "verified_at", "verify_result", "plan_sha256", "manifest_key"),
        *("manifest_sha256", "previous_sha256"),
    )

    @admin.display(ordering="is_partial")
    def covers(self, day: SealedDay) -> str:
        """Whether the day was over when it was sealed."""
        return "part of the day" if day.is_partial else "whole day"

    @admin.display(ordering="raw_bytes")
    def raw(self, day: SealedDay) -> str:
        """Records, and their size."""
        return f"{day.raw_records:,} in {as_size(day.raw_bytes)}"

    @admin.display(ordering="normalized_bytes")
    def normalized(self, day: SealedDay) -> str:
        """Records, and their size."""
        return f"{day.normalized_records:,} in {as_size(day.normalized_bytes)}"

    @admin.display(boolean=True, description="ok")
    def verified(self, day: SealedDay) -> bool | None:
        """Whether the last verification found it whole; unknown before the first."""
        return None if day.verified_at is None else day.verify_result == "ok"


@admin.register(NormalizedPart)
class NormalizedPartAdmin(LookingOnly):
    list_display = ("date", "feed", "schema_version", "first_seq", "last_seq", "rows", "size", "ingested_at")
    list_display_links = ("date", "first_seq")
    list_filter = ("feed", "environment", "schema_version")
    list_select_related = ("feed",)
    search_fields = ("key", "stream_epoch")
    date_hierarchy = "date"
    show_full_result_count = False

    @admin.display(ordering="bytes")
    def size(self, part: NormalizedPart) -> str:
        """As stored, as people say it."""
        return as_size(part.bytes)
