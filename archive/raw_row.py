"""The raw row of a day in the inventory: its figures, from its parts, or from the sealed version that holds them all."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from django.db.models import Max, Min, Sum
from django.utils import timezone

from archive import seal_manifest
from archive.gap_rows import instant
from archive.known_sessions import Archived
from archive.layout import day_prefix
from archive.seal_manifest import DayManifest
from archive.store import place_of
from registry.models import (
    ArchivePart,
    DataGap,
    DataInventory,
    DataQualityIssue,
    InventorySymbol,
    SealedDay,
)


def recount(archived: Archived, on: date, tickers: Collection[str] = ()) -> None:
    """Bring the day's figures up to date. By bulk operations: a recount writes no audit row."""
    parts = ArchivePart.objects.filter(feed=archived.feed, date=on)
    inventory = _raw_row(archived, on)
    have = set(inventory.symbols.values_list("ticker", flat=True))
    InventorySymbol.objects.bulk_create(
        [InventorySymbol(inventory=inventory, ticker=ticker) for ticker in sorted(set(tickers) - have)],
        ignore_conflicts=True,
    )
    figures = _of_parts(parts, inventory)
    if SealedDay.objects.filter(feed=archived.feed, date=on).exists():
        manifest = seal_manifest.latest(archived.store, archived.feed.name, on)
        if manifest is not None and manifest.raw_rows >= figures.get("record_count", 0):
            figures = _of_sealed(manifest)
    DataInventory.objects.filter(pk=inventory.pk).update(
        **figures, storage_path=_place(archived, on), processed_at=timezone.now()
    )


def _place(archived: Archived, on: date) -> str:
    return place_of(archived.store, day_prefix(archived.feed.name, on))


def _of_parts(parts: Any, inventory: DataInventory) -> Mapping[str, Any]:
    latest = parts.order_by("-last_ns").first()
    if latest is None:
        return {}
    sums = parts.aggregate(
        rows=Sum("rows"), stored=Sum("stored_bytes"), first=Min("first_ns"), last=Max("last_ns")
    )
    return {
        "symbol_count": inventory.symbols.count(),
        "record_count": sums["rows"],
        "byte_size": sums["stored"],
        "first_timestamp": instant(sums["first"]),
        "last_timestamp": instant(sums["last"]),
        "connector_version": latest.connector_version,
        "processor_version": latest.processor_version,
    }


def _of_sealed(manifest: DayManifest) -> Mapping[str, Any]:
    """Parts are removed some days after the seal: from then on these figures are all there is, and before they are the same."""
    return {
        "symbol_count": manifest.markets,
        "record_count": manifest.raw_rows,
        "byte_size": manifest.stored_bytes,
        "first_timestamp": instant(manifest.first_recv_ns),
        "last_timestamp": instant(manifest.last_recv_ns),
        "connector_version": manifest.connector_version[:32],
        "processor_version": manifest.code_version[:32],
    }


def _raw_row(archived: Archived, on: date) -> DataInventory:
    feed = archived.feed
    identity = {"feed": feed, "data_type": DataInventory.DataType.RAW, "date": on, "schema_version": None}
    row = DataInventory.objects.filter(**identity).first()
    if row is None:
        row = DataInventory(
            **identity, storage_path=_place(archived, on), status=DataInventory.Status.PROCESSING
        )
        DataInventory.objects.bulk_create([row])
        DataGap.objects.filter(feed=feed, date=on, inventory=None).update(inventory=row)
        DataQualityIssue.objects.filter(feed=feed, date=on, inventory=None).update(inventory=row)
    return row
