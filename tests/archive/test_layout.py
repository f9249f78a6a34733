from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import layout
from archive.layout import PartKey, parse_manifest_key

DAY = date(2025, 12, 14)
SESSION = "kalshi-20251214T001000Z-3f9a1c"


def test_a_part_and_its_manifest_lie_beside_each_other() -> None:
    key = PartKey("kalshi", DAY, SESSION, 1, 42)

    stem = f"kalshi/2025/12/14/_parts/{SESSION}/00000000000000000001-00000000000000000042"
    assert (key.data, key.manifest) == (f"{stem}.jsonl.zst", f"{stem}.json")


@given(
    st.text(min_size=1, max_size=20),
    st.dates(date(1000, 1, 1)),
    st.text(min_size=1, max_size=20),
    st.integers(1, 10**19),
    st.integers(1, 10**19),
)
def test_a_manifests_key_says_which_part_it_is(
    feed: str, on: date, session: str, first: int, last: int
) -> None:
    key = PartKey(feed, on, session, first, last)

    assert parse_manifest_key(key.manifest) == key
    assert parse_manifest_key(key.data) is None
    assert ".." not in key.data
    assert key.data.count("/") == 6


@pytest.mark.parametrize(
    "key",
    [
        "",
        "kalshi/_owner.json",
        "kalshi/2025/12/14/trades-00.jsonl.zst",
        "kalshi/2025/12/14/_parts/s/1-2.json",
    ],
)
def test_other_keys_are_no_manifests(key: str) -> None:
    assert parse_manifest_key(key) is None


def test_sealed_files_have_the_designs_names() -> None:
    assert layout.raw_file("kalshi", DAY, "trade", hour=0) == "kalshi/2025/12/14/trades-00.jsonl.zst"
    assert layout.raw_file("kalshi", DAY, "orderbook", hour=23) == "kalshi/2025/12/14/orderbook-23.jsonl.zst"
    assert (
        layout.raw_file("kalshi", DAY, "trade", hour=0, version=2)
        == "kalshi/2025/12/14/trades-00.v2.jsonl.zst"
    )
    with pytest.raises(ValueError, match="24 is no hour"):
        layout.raw_file("kalshi", DAY, "trade", hour=24)


def test_a_sealed_version_is_found_by_its_manifest_and_not_by_its_plan() -> None:
    assert layout.parse_seal_key(layout.seal_key("kalshi", DAY, 12)) == 12
    assert layout.parse_seal_key(layout.plan_key("kalshi", DAY, 12)) is None
    assert layout.parse_seal_key(layout.step_key("kalshi", DAY, 12, "raw-07")) is None


def test_a_normalized_file_lies_under_its_ticker_and_later_versions_beside_it() -> None:
    first = layout.events_file("kalshi", "v2", "trade", DAY, "INXD-25-B4000")
    later = layout.events_file("kalshi", "v2", "trade", DAY, "INXD-25-B4000", version=2)

    assert first == "kalshi/v2/trade/2025/12/14/INXD-25-B4000/data.capnp.zst"
    assert later == "kalshi/v2/trade/2025/12/14/INXD-25-B4000/data.v2.capnp.zst"


@pytest.mark.parametrize(
    "ticker", ["../../x", "/etc/passwd", "a/b", "..", ".", "a\x00b", "T79.9999", "%2e%2e"]
)
def test_no_ticker_leaves_its_prefix(ticker: str) -> None:
    key = layout.events_file("kalshi", "v2", "trade", DAY, ticker)

    folder = key.removeprefix("kalshi/v2/trade/2025/12/14/").removesuffix("/data.capnp.zst")
    assert "/" not in folder and "." not in folder and folder


def test_tickers_too_long_for_a_folder_are_cut_and_told_apart() -> None:
    keys = {layout.events_file("kalshi", "v2", "trade", DAY, "." * 199 + end) for end in "ab"}

    assert len(keys) == 2
    assert all(len(part) <= 200 for key in keys for part in key.split("/"))


def test_the_key_of_a_provisional_part_says_what_it_holds() -> None:
    key = layout.EventsKey("kalshi-sim", "v2", DAY, "20251214T001000.000000001Z", 7, 99)

    assert layout.parse_events_key(key.manifest) == key
    assert layout.parse_events_key(key.data("trade")) is None


def test_a_day_begins_at_utc_midnight() -> None:
    midnight = 1_765_670_400_000_000_000

    assert layout.day_of(midnight) == DAY
    assert layout.day_of(midnight - 1) == date(2025, 12, 13)
