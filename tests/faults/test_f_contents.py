"""F: what lies in the store: more than a page of it, odd names, what an operator did to it, every version of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from archive import objects, raw, s3_probe, s3_store
from archive.files import Damaged
from archive.layout import day_of, parse_manifest_key, raw_file
from archive.objects import ObjectMissing
from archive.retry import Budget
from archive.s3_store import S3Store
from tests.chaos import seaweed
from tests.chaos.faulty_s3 import Fault
from tests.faults.object_store import Bench, Told, open_bench, store_metric
from tests.faults.proof import Outcome, fault, prove
from tests.oracle_input import NOON


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path) as found:
        yield found


@fault("F12")
@pytest.mark.slow
def test_the_position_is_found_however_many_pages_the_listing_has(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_page(self: S3Store, prefix: str, budget: Budget) -> set[str]:
        return {one["Key"] for one in self._page(prefix).get("Contents", [])}

    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen), monkeypatch.context() as patch:
            if not is_handled:
                patch.setattr(S3Store, "_list", first_page)
            session = life.record(count=80)
            life.ship(bench.store(), part_bytes=2_000)
            keys = list(bench.behind().list(f"{life.feed}/"))
            life.also += [] if len(keys) > 20 else [f"only {len(keys)} objects"]
            # A new shipper, which asks the store where it stands: with larger parts, a wrong answer would overlap.
            life.ship(bench.store(page_keys=4), part_bytes=9_000)
            known = {key for key in bench.behind().list(f"{life.feed}/") if session in key}
            life.also += [f"put again: {sorted(known - set(keys))}"] if known - set(keys) else []
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("list", "ok"))


EVIL = ["../up", "a/../b", "%2e%2e/x", "..", ".hidden", "a b", "x" * 200, "ä/ö", "a\\b", "a\nb", "=2E=2E"]


@fault("F13")
def test_no_name_however_odd_leads_out_of_its_place(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen), monkeypatch.context() as patch:
            store = bench.store()
            if not is_handled:
                patch.setattr(s3_store, "checked_key", lambda key: key)
                patch.setattr(objects, "checked_key", lambda key: key)
            for name in EVIL:
                key = raw_file(f"{life.feed}{name}", day_of(NOON), "trade", hour=0)
                life.also += [] if key.count("/") == 4 and ".." not in key else [f"{name!r} leads to {key}"]
                store.put_if_absent(key, b"x")
                life.also += _taken(store, f"{life.feed}/{name}/../b")
            tickers = [b'{"type":"trade","msg":{"market_ticker":"%s"}}' % name.encode() for name in EVIL]
            life.record(frames=[one.replace(b"\n", b"?") for one in tickers])
            life.ship(store)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("put", "ok"), at_least=len(EVIL))


def _taken(store: S3Store, key: str) -> list[str]:
    try:
        store.put_if_absent(key, b"x")
    except ValueError:
        return []
    return [f"{key!r} was taken"]


@fault("F14")
@pytest.mark.parametrize("deed", ["deleted", "overwritten", "half of it overwritten"])
def test_what_an_operator_deleted_or_overwrote_is_never_read_as_if_it_were_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen), monkeypatch.context() as patch:
            life.record(count=40)
            life.ship(bench.store())
            [key] = [one for one in bench.behind().list(f"{life.feed}/") if one.endswith(".jsonl.zst")]
            whole = bench.behind().get(key)
            _do(deed, key, whole, bench)
            if not is_handled:
                patch.setattr(raw, "read_lines", lambda store, manifest: iter(()))
            life.also += _read(life, bench)
            operator = seaweed.client(bench.upstream.url)
            operator.put_object(Bucket=seaweed.BUCKET, Key=key, Body=whole)  # brought back from a copy
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("get", "missing" if deed == "deleted" else "ok"))


def _do(deed: str, key: str, whole: bytes, bench: Bench) -> None:
    operator = seaweed.client(bench.upstream.url)
    if deed == "deleted":
        operator.delete_object(Bucket=seaweed.BUCKET, Key=key)
        return
    body = b"not what it was" if deed == "overwritten" else whole[: len(whole) // 2]
    operator.put_object(Bucket=seaweed.BUCKET, Key=key, Body=body)


def _read(life: Told, bench: Bench) -> list[str]:
    """Every part of the feed, read as everybody reads it."""
    store = bench.store()
    keys = [key for name in store.list(f"{life.feed}/") if (key := parse_manifest_key(name))]
    try:
        found = [one for key in keys for one in raw.read_part(store, raw.read_manifest(store, key))]
    except (Damaged, ObjectMissing) as error:
        return [] if life.feed in str(error) else [f"the object is not named: {error}"]
    return [f"{len(found)} records were read as if nothing had happened"]


@fault("F15")
@pytest.mark.slow
def test_a_versioned_bucket_without_the_right_to_delete_gets_one_version_of_each_object(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = seaweed.client(bench.upstream.url)
    try:
        operator.create_bucket(Bucket=seaweed.VERSIONED)
        operator.put_bucket_versioning(
            Bucket=seaweed.VERSIONED, VersioningConfiguration={"Status": "Enabled"}
        )
    except ClientError as error:
        assert "BucketAlready" in str(error)  # a test before made it

    def scenario(is_handled: bool) -> Outcome:
        no_delete = Fault("delete", status=403, code="AccessDenied", times=10**6)
        with bench.life() as (life, risen), monkeypatch.context() as patch:
            if not is_handled:
                patch.setattr(s3_probe, "_require_condition", lambda connection: None)
            bench.proxy.tell(no_delete, strip=() if is_handled else ("if-none-match",))
            life.record()
            life.ship(bench.store(bucket=seaweed.VERSIONED))
            for key in bench.behind(seaweed.VERSIONED).list(f"{life.feed}/"):
                bench.store(bucket=seaweed.VERSIONED).put_if_absent(
                    key, bench.behind(seaweed.VERSIONED).get(key)
                )
            listed = operator.list_object_versions(Bucket=seaweed.VERSIONED, Prefix=f"{life.feed}/")
            versions = [one["Key"] for one in listed.get("Versions", [])]
            life.also += [f"{versions} hold a key twice"] if len(versions) != len(set(versions)) else []
            return life.outcome(risen, through=bench.behind(seaweed.VERSIONED))

    prove(scenario, gaps=(), metric=store_metric("put", "ok"), at_least=3)
