"""Periods in time: half-open, never overlapping, asked by day or by instant."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self, TypeVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, DateTimeRangeField, RangeBoundary
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement, Table
from django.db.models import F, Func, Q

RowT = TypeVar("RowT", bound=models.Model)


def utc_day(moment: date | datetime) -> date:
    """The UTC day of `moment`; a time without zone could mean two days, so it is refused."""
    if not isinstance(moment, datetime):
        return moment
    return _aware(moment).astimezone(UTC).date()


def instant(moment: date | datetime) -> datetime:
    """`moment` as an instant; a day stands for its last microsecond, so it includes what began on it."""
    if isinstance(moment, datetime):
        return _aware(moment)
    return datetime.combine(moment, time.min, UTC) + timedelta(days=1, microseconds=-1)


def written(moment: date | datetime) -> str:
    """A day as it is, an instant in UTC with Z."""
    if not isinstance(moment, datetime):
        return moment.isoformat()
    return _aware(moment).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; write {moment.isoformat()}Z for UTC")
    return moment


class TemporalQuerySet(models.QuerySet[RowT]):
    """Rows with `effective_from` and `effective_to`, which are days."""

    def as_of(self, moment: date | datetime) -> Self:
        """The rows in force on the UTC day of `moment`."""
        day = utc_day(moment)
        still_open = Q(effective_to=None) | Q(effective_to__gt=day)
        return self.filter(still_open, effective_from__lte=day)


class InstantQuerySet(models.QuerySet[RowT]):
    """Rows with `valid_from` and `valid_to`, which are instants; no `valid_from`: never in force."""

    def as_of(self, moment: date | datetime) -> Self:
        """The rows in force at `moment`, or at the end of that day."""
        at = instant(moment)
        still_open = Q(valid_to=None) | Q(valid_to__gt=at)
        return self.filter(still_open, valid_from__lte=at)


class NoOverlap(ExclusionConstraint):
    """Periods of one owner never overlap: an exclusion constraint on PostgreSQL, triggers on SQLite."""

    def __init__(self, *, name: str, owner: str, start: str, end: str, instants: bool = False) -> None:
        self.owner, self.start, self.end, self.instants = owner, start, end, instants
        function, field = ("tstzrange", DateTimeRangeField()) if instants else ("daterange", DateRangeField())
        period = Func(F(start), F(end), RangeBoundary(), function=function, output_field=field)
        super().__init__(
            name=name,
            expressions=[(owner, "="), (period, "&&")],
            # A row without a start was never in force; to PostgreSQL it would reach back for ever.
            condition=Q(**{f"{start}__isnull": False}),
            violation_error_message=f"The period from {start} to {end} overlaps that of another row.",
        )

    def deconstruct(self) -> Any:
        """What a migration needs to build this again."""
        arguments = {
            "name": self.name,
            "owner": self.owner,
            "start": self.start,
            "end": self.end,
            "instants": self.instants,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", (), arguments

    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:
        """The clause inside CREATE TABLE; SQLite has none, so its triggers follow the table."""
        if schema_editor.connection.vendor == "postgresql":
            return super().constraint_sql(model, schema_editor)
        # As Statements they are renamed when SQLite's editor rebuilds the table under another name.
        schema_editor.deferred_sql.extend(self._triggers(model, schema_editor))
        return None

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        """The statement that adds this to an existing table."""
        if schema_editor.connection.vendor == "postgresql":
            return super().create_sql(model, schema_editor)
        return None

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        """The statement that drops this; SQLite's triggers go with the rebuilt table."""
        if schema_editor.connection.vendor == "postgresql":
            return super().remove_sql(model, schema_editor)
        return None

    def _triggers(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[Statement]:
        column = {name: editor.quote_name(_column(model, name)) for name in self._fields()}
        template = (
            "CREATE TRIGGER %(name)s AFTER %(event)s ON %(table)s WHEN NEW.%(start)s IS NOT NULL AND EXISTS ("
            "SELECT 1 FROM %(table)s AS other WHERE other.%(owner)s = NEW.%(owner)s AND other.id <> NEW.id "
            "AND other.%(start)s IS NOT NULL AND (NEW.%(end)s IS NULL OR other.%(start)s < NEW.%(end)s) "
            "AND (other.%(end)s IS NULL OR other.%(end)s > NEW.%(start)s)) "
            "BEGIN SELECT RAISE(ABORT, '%(constraint)s: periods overlap'); END"
        )
        return [
            Statement(
                template,
                name=editor.quote_name(f"{self.name}_{event.lower()}"),
                event=event,
                table=Table(model._meta.db_table, editor.quote_name),
                constraint=self.name,
                owner=column[self.owner],
                start=column[self.start],
                end=column[self.end],
            )
            for event in ("INSERT", "UPDATE")
        ]

    def _fields(self) -> tuple[str, str, str]:
        return self.owner, self.start, self.end

    def validate(
        self, model: Any, instance: Any, exclude: Any = None, using: str | None = DEFAULT_DB_ALIAS
    ) -> None:
        """What forms and `full_clean` ask: the same refusal on both databases."""
        start, end = getattr(instance, self.start), getattr(instance, self.end)
        if start is None or (exclude and set(self._fields()) & set(exclude)):
            return
        same_owner = {self.owner: getattr(instance, self.owner)}
        others = model._default_manager.using(using).filter(**same_owner).exclude(pk=instance.pk)
        before_end = (
            Q(**{f"{self.start}__lt": end}) if end is not None else Q(**{f"{self.start}__isnull": False})
        )
        after_start = Q(**{f"{self.end}__gt": start}) | Q(**{f"{self.end}__isnull": True})
        if others.filter(before_end & after_start).exists():
            raise ValidationError(self.get_violation_error_message(), code="overlap")


def _column(model: type[models.Model], name: str) -> str:
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field) and field.column
    return str(field.column)
