"""The checks say what is wrong, what would be right and what there is; the plan holds plain values."""

from datetime import date
from pathlib import Path

import pytest

from registry.bootstrap import bootstrap
from registry.environment_file import SymbolFilter
from registry.models import Feed, SchemaVersion
from registry.preflight import connector_plan, environment_usable, feed_usable, registry_ready, schema_usable
from registry.refusal import Refused

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def filled(home: Path) -> None:
    bootstrap()


def test_an_unknown_feed_is_refused_in_the_design_s_words() -> None:
    with pytest.raises(Refused) as refusal:
        connector_plan(feed="polymarket", symbols=["BTC-WINNER"])

    assert str(refusal.value).startswith(
        "Error: Validation failed\n"
        "  - Feed 'polymarket' not found in feed registry\n"
        "  - Did you mean 'kalshi'?\n"
        "\n"
        "Available feeds:\n"
        "  kalshi (active) - Prediction market\n"
    )
    assert refusal.value.exit_code == 3


def test_the_nearest_spelling_is_offered() -> None:
    assert feed_usable("kalshi-sum")[0].did_you_mean == "kalshi-sim"


def test_a_disabled_feed_is_not_usable() -> None:
    Feed.objects.filter(name="kalshi").update(status="disabled")

    assert feed_usable("kalshi")[0].problem == "Feed 'kalshi' is disabled"


def test_a_feed_is_not_usable_before_its_first_version() -> None:
    assert "no version in force on 2024-01-01" in feed_usable("kalshi", on=date(2024, 1, 1))[0].problem


def test_an_unknown_environment_is_refused_with_those_there_are() -> None:
    [reason] = environment_usable("dem")

    assert (reason.did_you_mean, "kalshi-prod" in reason.listing) == ("demo", True)


def test_a_schema_whose_text_was_altered_is_not_usable() -> None:
    SchemaVersion.objects.filter(name="trade", version="v2").update(schema_definition="altered")

    assert "SHA-256" in schema_usable("trade", "v2")[0].problem
    assert schema_usable("orderbook", "v2") == []


def test_the_plan_of_the_applied_environment_is_complete() -> None:
    plan = connector_plan()

    assert (plan.environment, plan.feed, plan.simulated) == ("demo", "kalshi-sim", True)
    assert plan.endpoint == "ws://127.0.0.1:8010/trade-api/ws/v2"
    assert plan.rest_endpoint == "http://127.0.0.1:8010/trade-api/v2"
    assert plan.subscribe_params == {"use_yes_price": False}
    assert plan.secret_ref == "sealed-secret/kalshi-sim-creds"
    assert plan.filters == ()


def test_named_symbols_replace_the_environment_s_filters() -> None:
    plan = connector_plan(feed="kalshi-sim", symbols=["A", "B"])

    assert plan.filters == (SymbolFilter("ticker", "A"), SymbolFilter("ticker", "B"))


def test_an_environment_that_is_not_applied_is_not_started() -> None:
    with pytest.raises(Refused, match="registered but not applied"):
        connector_plan("kalshi-prod")


def test_a_feed_that_no_applied_environment_records_is_not_started() -> None:
    with pytest.raises(Refused, match="No applied environment records feed 'kalshi'"):
        connector_plan(feed="kalshi")


def test_environment_and_feed_must_agree() -> None:
    with pytest.raises(Refused, match="records feed 'kalshi-sim', not 'kalshi'"):
        connector_plan("demo", feed="kalshi")


def test_a_missing_secret_is_refused(home: Path) -> None:
    (home / "secrets/kalshi-sim-creds/api_key").unlink()

    with pytest.raises(Refused, match="has no api_key"):
        connector_plan()


def test_a_migrated_registry_is_ready() -> None:
    assert registry_ready() == []
