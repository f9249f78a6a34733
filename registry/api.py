"""/v1/meta: what is registered, what was recorded, what was lost. Reads only."""

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from registry.documents import (
    environment_document,
    environment_version_document,
    feed_document,
    feed_version_document,
    gap_document,
    inventory_document,
    issue_document,
    schema_document,
    sealed_document,
)
from registry.listing import ListView, StrictView, day_of
from registry.models import (
    DataGap,
    DataInventory,
    Environment,
    Feed,
    SchemaVersion,
)
from registry.models.inventory import GAP_TYPES
from registry.problems import not_found, unknown_value
from registry.temporal import utc_day


def feed_names() -> list[str]:
    """The names of all feeds."""
    return list(Feed.objects.values_list("name", flat=True))


def feed_or_404(name: str) -> Feed:
    """The feed of that name, or the problem that says which there are."""
    feed = Feed.objects.filter(name=name).first()
    if feed is None:
        raise not_found("feed", name, feed_names())
    return feed


class Feeds(ListView):
    """/v1/meta/feeds"""

    ordering = ("name", "id")
    parameters = ("status", "venue")

    def rows(self) -> QuerySet[Feed]:
        """All feeds, or those of one status or venue."""
        feeds = Feed.objects.prefetch_related("versions")
        if status := self.given_choice("status", Feed.Status.values):
            feeds = feeds.filter(status=status)
        if (venue := self.given("venue")) is not None:
            feeds = feeds.filter(venue=venue)
        return feeds

    def row(self, row: Feed) -> dict[str, Any]:
        """With the version in force then."""
        return feed_document(row, self.moment)


class FeedDetail(StrictView):
    """/v1/meta/feeds/{name}"""

    parameters = ("as_of",)

    def get(self, request: Request, name: str) -> Response:
        """The feed, the version in force then, and all its versions."""
        feed = feed_or_404(name)
        if self.given("as_of") is not None:
            feed.version_on(self.moment)  # refused, with the day from which there was one
        versions = [feed_version_document(version) for version in feed.versions.order_by("effective_from")]
        return self.document({**feed_document(feed, self.moment), "versions": versions})


class Inventory(ListView):
    """/v1/meta/inventory"""

    ordering = ("-date", "feed_id", "data_type", "id")
    parameters = ("feed", "from", "to", "date", "status", "data_type")

    def rows(self) -> QuerySet[DataInventory]:
        """What was recorded, newest day first; `as_of` leaves out later days."""
        rows = DataInventory.objects.select_related("feed").filter(date__lte=utc_day(self.moment))
        if (feed := self.given("feed")) is not None:
            rows = rows.filter(feed=feed_or_404(feed))
        rows = rows.filter(**self.given_period())
        if status := self.given_choice("status", DataInventory.Status.values):
            rows = rows.filter(status=status)
        if data_type := self.given_choice("data_type", DataInventory.DataType.values):
            rows = rows.filter(data_type=data_type)
        return rows

    def row(self, row: DataInventory) -> dict[str, Any]:
        """One feed's data of one day."""
        return inventory_document(row)


class InventoryDay(StrictView):
    """/v1/meta/inventory/{feed}/{date}"""

    parameters = ("as_of",)

    def get(self, request: Request, feed: str, day: str) -> Response:
        """All that is known of one feed's day."""
        of_feed, on = feed_or_404(feed), day_of("date", day)
        rows = (
            of_feed.inventory.select_related("feed").filter(date=on).order_by("data_type", "schema_version")
        )
        if not rows:
            days = of_feed.inventory.order_by("-date").values_list("date", flat=True).distinct()
            raise not_found(f"inventory of {feed} on", day, [str(one) for one in days[:10]])
        gaps = _gaps_by(of_feed, self.moment).filter(date=on).order_by("gap_start", "id")
        issues = of_feed.quality_issues.filter(date=on, detected_at__lte=self.moment)
        sealed = of_feed.sealed_days.filter(date=on, committed_at__lte=self.moment)
        return self.document(
            {
                "feed": feed,
                "date": on,
                "inventory": [inventory_document(row) for row in rows],
                "gaps": [gap_document(gap, self.moment) for gap in gaps],
                "issues": [issue_document(issue) for issue in issues.order_by("issue_type", "session")],
                "sealed": [sealed_document(day, self.moment) for day in sealed.order_by("version")],
            }
        )


class Gaps(ListView):
    """/v1/meta/gaps/{feed}"""

    ordering = ("-gap_start", "-id")
    parameters = ("from", "to", "date", "type", "resolved", "open")

    def rows(self) -> QuerySet[DataGap]:
        """What was lost, newest first; `as_of` leaves out what began later."""
        gaps = _gaps_by(feed_or_404(self.kwargs["feed"]), self.moment).filter(**self.given_period())
        if self.given("type") is not None:
            gaps = gaps.filter(gap_type=self.given_choice("type", _gap_types()))
        if resolved := self.given_choice("resolved", ["true", "false"]):
            gaps = gaps.filter(resolved=resolved == "true")
        if is_open := self.given_choice("open", ["true", "false"]):
            goes_on = Q(gap_end=None) | Q(gap_end__gt=self.moment)
            gaps = gaps.filter(goes_on if is_open == "true" else ~goes_on)
        return gaps

    def row(self, row: DataGap) -> dict[str, Any]:
        """One loss."""
        return gap_document(row, self.moment)


def _gap_types() -> list[str]:
    recorded = DataGap.objects.order_by().values_list("gap_type", flat=True).distinct()
    return sorted({*GAP_TYPES, *recorded})


def _gaps_by(feed: Feed, moment: datetime) -> QuerySet[DataGap]:
    return DataGap.objects.filter(feed=feed, gap_start__lte=moment).select_related("feed")


class Schemas(ListView):
    """/v1/meta/schemas"""

    ordering = ("name", "version", "id")
    parameters = ("name", "status")

    def rows(self) -> QuerySet[SchemaVersion]:
        """The versions registered by then."""
        schemas = SchemaVersion.objects.filter(effective_from__lte=utc_day(self.moment))
        if (name := self.given("name")) is not None:
            names = set(SchemaVersion.objects.values_list("name", flat=True))
            if name not in names:
                raise unknown_value("name", name, names)
            schemas = schemas.filter(name=name)
        if status := self.given_choice("status", SchemaVersion.Status.values):
            schemas = schemas.filter(status=status)
        return schemas

    def row(self, row: SchemaVersion) -> dict[str, Any]:
        """Without the text, which is in the version's own document."""
        return schema_document(row)


class SchemaVersions(StrictView):
    """/v1/meta/schemas/{name}"""

    parameters = ("as_of",)

    def get(self, request: Request, name: str) -> Response:
        """The versions registered by then, without their texts."""
        versions = SchemaVersion.objects.filter(name=name)
        if not versions:
            raise not_found("schema", name, set(SchemaVersion.objects.values_list("name", flat=True)))
        by_then = versions.filter(effective_from__lte=utc_day(self.moment)).order_by("version")
        return self.document({"name": name, "versions": [schema_document(version) for version in by_then]})


class SchemaDetail(StrictView):
    """/v1/meta/schemas/{name}/{version}"""

    parameters = ("as_of",)

    def get(self, request: Request, name: str, version: str) -> Response:
        """One version with its text."""
        schema = SchemaVersion.objects.filter(name=name, version=version).first()
        if schema is None:
            known = [f"{one.name}/{one.version}" for one in SchemaVersion.objects.all()]
            raise not_found("schema", f"{name}/{version}", known)
        return self.document({**schema_document(schema), "schema_definition": schema.schema_definition})


class Environments(ListView):
    """/v1/meta/environments"""

    ordering = ("name", "id")
    parameters = ("status",)

    def rows(self) -> QuerySet[Environment]:
        """All environments, or those of one status."""
        environments = Environment.objects.prefetch_related("versions__feed")
        if status := self.given_choice("status", Environment.Status.values):
            environments = environments.filter(status=status)
        return environments

    def row(self, row: Environment) -> dict[str, Any]:
        """With the version that was applied then; the configuration itself is for operators."""
        return environment_document(row, self.moment)


class EnvironmentDetail(StrictView):
    """/v1/meta/environments/{name}"""

    parameters = ("as_of",)

    def get(self, request: Request, name: str) -> Response:
        """The environment, the version applied then, and all its versions."""
        row = Environment.objects.prefetch_related("versions__feed").filter(name=name).first()
        if row is None:
            raise not_found("environment", name, Environment.objects.values_list("name", flat=True))
        versions = [environment_version_document(version) for version in row.versions.all()]
        return self.document({**environment_document(row, self.moment), "versions": versions})
