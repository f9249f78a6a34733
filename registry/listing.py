"""How every REST list and document of metadata answers: strict parameters, `as_of`, cursor paging."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.problems import Problem, suggestion, unknown_value

MOST_ROWS = 500


class StrictView(APIView):
    """Refuses parameters it does not know: a misspelt filter must not look like an empty answer."""

    parameters: ClassVar[tuple[str, ...]] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who asks comes first, then what is asked."""
        super().initial(request, *args, **kwargs)
        allowed = sorted(self.parameters)
        for name in request.query_params:
            if name not in allowed:
                raise Problem(
                    f"There is no parameter {name!r} here.", parameter=name, **suggestion(name, allowed)
                )
        self.moment = _as_of(request.query_params.get("as_of"))

    def given(self, name: str) -> str | None:
        """A parameter's value, None where it is absent."""
        return self.request.query_params.get(name)

    def given_day(self, name: str) -> date | None:
        """A parameter that is a day."""
        given = self.given(name)
        if given is None:
            return None
        return day_of(name, given)

    def given_period(self) -> dict[str, date]:
        """`from`, `to` and `date` as lookups of a column `date`."""
        lookups = {"date__gte": "from", "date__lte": "to", "date": "date"}
        days = {lookup: self.given_day(name) for lookup, name in lookups.items()}
        given = {lookup: day for lookup, day in days.items() if day is not None}
        if given.get("date__gte", date.min) > given.get("date__lte", date.max):
            detail = f"from={given['date__gte']} is after to={given['date__lte']}; exchange them."
            raise Problem(detail, parameter="from", example="from=2025-12-01&to=2025-12-14")
        return given

    def given_choice(self, name: str, choices: Sequence[str]) -> str | None:
        """A parameter that is one of these."""
        given = self.given(name)
        if given is not None and given not in choices:
            raise unknown_value(name, given, choices)
        return given

    def document(self, content: Mapping[str, Any]) -> Response:
        """One thing, as it was then."""
        return Response({**content, "as_of": rfc3339(self.moment)})


class ListView(StrictView):
    """`{"results": [...], "next": URL or null, "as_of": ...}`."""

    ordering: ClassVar[tuple[str, ...]]

    def rows(self) -> QuerySet[Any]:
        """What is listed."""
        raise NotImplementedError

    def row(self, row: Any) -> dict[str, Any]:
        """One row's document."""
        raise NotImplementedError

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Paging and `as_of` are parameters of every list."""
        self.parameters = (*type(self).parameters, "as_of", "cursor", "limit")  # type: ignore[misc]
        super().initial(request, *args, **kwargs)
        _check_limit(request.query_params.get("limit"))

    def get(self, request: Request, **_: Any) -> Response:
        """One page."""
        pages = _Pages()
        pages.ordering = self.ordering
        rows = self.rows()
        try:
            page = pages.paginate_queryset(rows, request, view=self)
        except (NotFound, ValidationError, ValueError) as error:
            detail = "This cursor was not given here: follow `next` of the page before, or leave it out."
            raise Problem(detail, parameter="cursor") from error
        results = [self.row(row) for row in page or []]
        return Response({"results": results, "next": pages.get_next_link(), "as_of": rfc3339(self.moment)})


class _Pages(CursorPagination):
    page_size = 100
    max_page_size = MOST_ROWS
    page_size_query_param = "limit"


def _check_limit(given: str | None) -> None:
    if given is None or (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MOST_ROWS):
        return
    raise Problem(
        f"limit={given!r} is not accepted: a whole number from 1 to {MOST_ROWS}.",
        parameter="limit",
        example=100,
    )


def _as_of(given: str | None) -> datetime:
    """The instant that is asked about: now, an RFC 3339 time, or the end of a day (but not of one to come)."""
    now = timezone.now()
    if given is None:
        return now
    try:
        moment = parse_datetime(given) if len(given) > 10 else None
        day = parse_date(given) if moment is None else None
    except ValueError:
        moment = day = None
    if moment is not None and moment.tzinfo is not None:
        return moment
    if day is not None:
        end_of_day = datetime.combine(day, datetime.max.time(), tzinfo=now.tzinfo)
        return min(end_of_day, now) if day <= now.date() else end_of_day
    raise Problem(
        f"as_of={given!r} is no time.", parameter="as_of", example=["2025-12-14", "2025-12-14T00:10:00Z"]
    )


def day_of(name: str, given: str) -> date:
    """A day in the form 2025-12-14."""
    try:
        day = parse_date(given)
    except ValueError:
        day = None
    if day is None:
        raise Problem(f"{name}={given!r} is no day.", parameter=name, example="2025-12-14")
    return day


def rfc3339(moment: datetime | None) -> str | None:
    """UTC with Z; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(timezone.now().tzinfo).isoformat().replace("+00:00", "Z")
