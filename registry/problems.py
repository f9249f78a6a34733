"""What is wrong with a request, as a problem document (RFC 9457) that says what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from registry.refusal import ExitCode, Refused

CONTENT_TYPE = "application/problem+json"
_MOST_VALUES = 50


class Problem(exceptions.APIException):
    """A refusal with members of its own beside `detail`: `parameter`, `valid_values`, `did_you_mean` ..."""

    def __init__(self, detail: str, *, code: int = status.HTTP_400_BAD_REQUEST, **members: Any) -> None:
        super().__init__(detail)
        self.status_code = code
        self.members = members


def unknown_value(parameter: str, given: str, valid: Iterable[str]) -> Problem:
    """A parameter has none of the values it may have."""
    values = sorted(valid)
    return Problem(f"{parameter}={given!r} is not known.", parameter=parameter, **suggestion(given, values))


def not_found(what: str, given: str, valid: Iterable[str]) -> Problem:
    """What the path names does not exist."""
    members = suggestion(given, sorted(valid))
    return Problem(f"There is no {what} {given!r}.", code=status.HTTP_404_NOT_FOUND, **members)


def suggestion(given: str, values: list[str]) -> dict[str, Any]:
    """The valid values, and the one that was probably meant."""
    by_folded = {value.casefold(): value for value in values}
    near = get_close_matches(given[:200].casefold(), by_folded, n=1)
    members: dict[str, Any] = {"valid_values": values[:_MOST_VALUES]}
    return {**members, "did_you_mean": by_folded[near[0]]} if near else members


def problem_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every refusal of the API as a problem document."""
    if isinstance(error, Refused):
        error = _of_refused(error)
    response = exception_handler(error, context)
    if response is None:
        return None
    title = "Not found" if isinstance(error, Http404) else _title(response.status_code)
    document = {"type": "about:blank", "title": title, "status": response.status_code}
    document["detail"] = _detail(response.data)
    document |= getattr(error, "members", {})
    response.data = document
    response.content_type = CONTENT_TYPE
    return response


def _of_refused(refused: Refused) -> Problem:
    code = 404 if refused.exit_code == ExitCode.NOT_FOUND else 400
    reasons = [
        {"problem": reason.problem, "remedy": reason.remedy} if reason.remedy else {"problem": reason.problem}
        for reason in refused.reasons
    ]
    return Problem("; ".join(reason.problem for reason in refused.reasons), code=code, reasons=reasons)


def _title(code: int) -> str:
    titles = {400: "Bad request", 403: "Not allowed", 404: "Not found", 405: "Method not allowed"}
    return titles.get(code, "Refused")


def _detail(data: Any) -> str:
    return str(data["detail"]) if isinstance(data, dict) and "detail" in data else str(data)
