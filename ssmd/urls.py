"""HTTP: admin, REST, the first page. The WebSocket's path is in `asgi.py`."""

from django.contrib import admin
from django.urls import path

from registry import api as meta
from secmaster import api as markets
from ssmd import views
from ssmd.runtime.login import one_time_login
from ssmd.trades import MarketTrades

urlpatterns = [
    path("", views.first_page, name="first_page"),
    path("favicon.ico", views.favicon),
    path("admin/", admin.site.urls),
    path("login/<str:token>", one_time_login),
    path("metrics", views.metrics_view),
    path("v1/health", views.health_view, name="health"),
    path("v1/health/live", views.live_view),
    path("v1/figures", views.figures_view, name="figures"),
    path("v1/meta/feeds", meta.Feeds.as_view(), name="feeds"),
    path("v1/meta/feeds/<str:name>", meta.FeedDetail.as_view()),
    path("v1/meta/inventory", meta.Inventory.as_view(), name="inventory"),
    path("v1/meta/inventory/<str:feed>/<str:day>", meta.InventoryDay.as_view()),
    path("v1/meta/gaps/<str:feed>", meta.Gaps.as_view(), name="gaps"),
    path("v1/meta/schemas", meta.Schemas.as_view(), name="schemas"),
    path("v1/meta/schemas/<str:name>", meta.SchemaVersions.as_view()),
    path("v1/meta/schemas/<str:name>/<str:version>", meta.SchemaDetail.as_view()),
    path("v1/meta/environments", meta.Environments.as_view(), name="environments"),
    path("v1/meta/environments/<str:name>", meta.EnvironmentDetail.as_view()),
    path("v1/markets", markets.Markets.as_view(), name="markets"),
    path("v1/markets/<str:ticker>", markets.MarketDetail.as_view()),
    path("v1/markets/<str:ticker>/trades", MarketTrades.as_view()),
    path("v1", views.index_view),
    path("v1/", views.index_view),
    path("v1/<path:rest>", views.no_such_path),
]
