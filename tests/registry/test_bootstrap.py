"""Bootstrap fills a registry, may be repeated, and never alters what was written in."""

from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from registry.bootstrap import bootstrap
from registry.models import Environment, Feed, FeedCalendar, SchemaVersion
from registry.refusal import ExitCode, Refused
from registry.secrets import resolve
from registry.seed import SIM_SECRET, rest_endpoint
from streaming.kalshi.wires import FIXED_POINT, wire_named

pytestmark = pytest.mark.django_db


def test_a_second_run_makes_nothing(home: Path) -> None:
    assert bootstrap()

    assert bootstrap() == []


def test_the_older_host_was_in_force_before_december_2025(home: Path) -> None:
    bootstrap()
    kalshi = Feed.objects.get(name="kalshi")

    old, new = kalshi.version_on(date(2025, 12, 1)), kalshi.version_on(date(2026, 5, 7))

    assert (old.version, old.endpoint_template) == ("v1", "wss://api.elections.kalshi.com/trade-api/ws/v2")
    assert (new.version, new.endpoint_template) == ("v2", "wss://external-api-ws.kalshi.com/trade-api/ws/v2")
    assert new.rest_endpoint == "https://external-api.kalshi.com/trade-api/v2"


def test_the_schemas_of_both_versions_are_registered(home: Path) -> None:
    bootstrap()

    assert {str(schema) for schema in SchemaVersion.objects.all()} == {
        *("trade:v1", "orderbook:v1", "market_status:v1"),
        *("trade:v2", "orderbook:v2", "market_status:v2", "ticker:v2"),
    }
    assert all(schema.hash_is_right for schema in SchemaVersion.objects.all())


def test_kalshi_trades_around_the_clock_except_on_thursday_mornings_in_new_york(home: Path) -> None:
    bootstrap()
    thursdays = {"winter": date(2026, 1, 8), "summer": date(2026, 7, 9)}

    hours = {
        name: [
            Feed.objects.get(name=name).calendars.on(day).trading_seconds(day) // 3600
            for day in thursdays.values()
        ]
        for name in ("kalshi", "kalshi-sim")
    }

    assert hours == {"kalshi": [22, 22], "kalshi-sim": [24, 24]}


def test_a_calendar_that_an_operator_changed_stays(home: Path) -> None:
    bootstrap()
    calendar = FeedCalendar.objects.get(feed__name="kalshi")
    calendar.maintenance_windows.all().delete()

    assert bootstrap() == []
    assert not calendar.maintenance_windows.exists()


def test_only_the_demo_is_applied(home: Path) -> None:
    bootstrap()

    assert Environment.objects.applied().name == "demo"
    latest = Environment.objects.get(name="kalshi-prod").latest()
    assert latest is not None and latest.valid_from is None


def test_another_exchange_port_revises_the_simulated_feed_once(home: Path) -> None:
    bootstrap()
    elsewhere = "ws://127.0.0.1:8099/trade-api/ws/v2"

    assert len(bootstrap(sim_endpoint=elsewhere)) == 1
    assert bootstrap(sim_endpoint=elsewhere) == bootstrap() == []

    assert Feed.objects.get(name="kalshi-sim").versions.get(effective_to=None).endpoint_template == elsewhere


def test_the_generated_key_pair_belongs_together(home: Path) -> None:
    bootstrap()

    private = load_pem_private_key(resolve(SIM_SECRET)["api_secret"].reveal().encode(), None)
    public = load_pem_public_key((home / "secrets/kalshi-sim-creds/public_key").read_bytes())
    assert private.public_key() == public


def test_a_draft_takes_the_frozen_text(home: Path) -> None:
    bootstrap()
    SchemaVersion.objects.filter(name="trade", version="v2").update(
        schema_definition="old", schema_hash="old", status="draft"
    )

    assert [line.split(",")[0] for line in bootstrap()] == ["schema trade:v2: draft is now active"]
    assert bootstrap() == []


def test_the_present_version_names_its_mapper_and_the_older_leaves_it_to_the_day(home: Path) -> None:
    bootstrap()
    versions = {
        one.version: one.parser_config or {} for one in Feed.objects.get(name="kalshi").versions.all()
    }

    assert wire_named(versions["v2"]["mapper"]) is FIXED_POINT
    assert "mapper" not in versions["v1"]


def test_both_schemas_are_frozen(home: Path) -> None:
    bootstrap()

    assert set(SchemaVersion.objects.values_list("status", flat=True)) == {"active"}


def test_a_changed_frozen_text_is_refused(home: Path) -> None:
    bootstrap()
    SchemaVersion.objects.filter(name="trade", version="v1").update(
        schema_definition="old", schema_hash="old"
    )

    with pytest.raises(Refused, match="restore the file") as refusal:
        bootstrap()

    assert refusal.value.exit_code == ExitCode.INTEGRITY


def test_what_an_operator_applied_stays_applied(home: Path) -> None:
    bootstrap()
    demo = Environment.objects.get(name="demo")
    text = demo.version_in_force(date(2999, 1, 1)).config_yaml
    from django.utils import timezone

    demo.add_version(text + "# mine\n").apply(at=timezone.now(), by="operator")

    assert bootstrap() == []
    assert demo.version_in_force(timezone.now()).version == 2


def test_a_folder_that_cannot_be_made_is_named(home: Path, settings: "object") -> None:
    (home / "file").write_text("")
    settings.RUN_DIR = home / "file" / "run"  # type: ignore[attr-defined]

    with pytest.raises(Refused, match="cannot be written to") as refusal:
        bootstrap()

    assert refusal.value.exit_code == ExitCode.PERMISSION


@pytest.mark.parametrize(
    ("websocket", "rest"),
    [
        ("wss://api.elections.kalshi.com/trade-api/ws/v2", "https://api.elections.kalshi.com/trade-api/v2"),
        (
            "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2",
            "https://external-api.demo.kalshi.co/trade-api/v2",
        ),
        ("ws://127.0.0.1:8010/trade-api/ws/v2", "http://127.0.0.1:8010/trade-api/v2"),
    ],
)
def test_the_rest_endpoint_follows_from_the_socket_s(websocket: str, rest: str) -> None:
    assert rest_endpoint(websocket) == rest
