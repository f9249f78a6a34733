"""The first page, health and metrics: what needs more than one app."""

import re
from functools import lru_cache
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.db import Error as DatabaseError
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import get_resolver
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from registry.models import DataGap, DataInventory
from registry.permissions import LoopbackOrSignedIn, may_read
from registry.problems import not_found
from secmaster.models import Market
from ssmd import __version__
from ssmd.gateway import current_hub
from ssmd.health import health
from streaming import metrics
from streaming.hub import Hub

_TOP_SYMBOLS = 20
LINKS = {
    "index": "/v1",
    "first_page": "/",
    "admin": "/admin/",
    "stream": "/v1/stream?symbols=*",
    "health": "/v1/health",
    "feeds": "/v1/meta/feeds",
    "inventory": "/v1/meta/inventory",
    "schemas": "/v1/meta/schemas",
    "environments": "/v1/meta/environments",
    "markets": "/v1/markets",
    "metrics": "/metrics",
}


@require_GET
def first_page(request: HttpRequest) -> HttpResponse:
    """At a glance: do data flow?"""
    if not _may_look(request):
        return redirect_to_login(request.get_full_path())
    hub = current_hub()
    context = {
        "serving": hub.serving if hub else None,
        "version": __version__,
        "figures": _figures(hub) if hub else {},
    }
    return render(request, "ssmd/first_page.html", context)


def _may_look(request: HttpRequest) -> bool:
    names = {name.lower() for name in request.headers}
    return may_read(client=request.META.get("REMOTE_ADDR", ""), header_names=names, user=request.user)


def _figures(hub: Hub) -> dict[str, Any]:
    """What the archive and the registry hold of the feed; nothing where they cannot be asked."""
    feed = hub.serving.feed
    try:
        raw = DataInventory.objects.filter(feed__name=feed, data_type=DataInventory.DataType.RAW)
        gaps = DataGap.objects.filter(feed__name=feed)
        totals = raw.aggregate(records=Sum("record_count"), bytes=Sum("byte_size"))
        return {
            "days": raw.count(),
            "records": totals["records"] or 0,
            "bytes": totals["bytes"] or 0,
            "gaps": gaps.count(),
            "open_gaps": gaps.open().count(),
            "markets": Market.objects.of_feed(feed).open().count(),
        }
    except DatabaseError:
        return {}


@api_view(["GET"])
@permission_classes([LoopbackOrSignedIn])
def figures_view(request: Request) -> Response:
    """The figures of the first page."""
    hub = current_hub()
    return Response(_figures(hub) if hub else {})


@api_view(["GET"])
@permission_classes([LoopbackOrSignedIn])
def health_view(request: Request) -> Response:
    """503 where something this process needs is down, so that `curl -f` sees it."""
    found = health()
    is_down = any(component["status"] == "down" for component in found["components"].values())
    return Response({**found, "links": LINKS}, status=503 if is_down else 200)


@api_view(["GET"])
@permission_classes([AllowAny])
def live_view(request: Request) -> Response:
    """The process answers; it says nothing else, and may be asked by anyone."""
    return Response({"status": "ok"})


@api_view(["GET"])
@permission_classes([LoopbackOrSignedIn])
def no_such_path(request: Request, rest: str) -> Response:
    """A path of the API that does not exist."""
    raise not_found("path", f"/v1/{rest}", _api_paths())


@api_view(["GET"])
@permission_classes([LoopbackOrSignedIn])
def index_view(request: Request) -> Response:
    """Where to look."""
    return Response({"version": __version__, "links": LINKS, "paths": _api_paths()})


@lru_cache(maxsize=1)
def _api_paths() -> list[str]:
    """Every path of the API as its route says it, e.g. `/v1/markets/{ticker}`, and the stream's."""
    routes = (str(entry.pattern) for entry in get_resolver().url_patterns)
    named = {re.sub(r"<\w+:(\w+)>", r"{\1}", route) for route in routes if route.startswith("v1/")}
    return sorted(f"/{path}" for path in named - {"v1/", "v1/{rest}"} | {"v1/stream"})


@require_GET
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for it at this path on every page that names no other."""
    return redirect(static("ssmd/icon.svg"))


@api_view(["GET"])
@permission_classes([LoopbackOrSignedIn])
def metrics_view(request: Request) -> HttpResponse:
    """Prometheus' text format."""
    _count_subscriptions(current_hub())
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def _count_subscriptions(hub: Hub | None) -> None:
    """The symbols with most clients by name, the rest together: the label stays bounded."""
    counts = hub.fanout.subscriptions() if hub else {}
    top = dict(sorted(counts.items(), key=lambda entry: -entry[1])[:_TOP_SYMBOLS])
    metrics.GATEWAY_SUBSCRIPTIONS.clear()
    metrics.GATEWAY_SUBSCRIPTIONS.labels("other").set(sum(counts.values()) - sum(top.values()))
    for symbol, clients in top.items():
        metrics.GATEWAY_SUBSCRIPTIONS.labels(symbol).set(clients)
