"""F: what is promised before work begins: the bucket, the key, the condition, the digest; and a writer that dies."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from archive import s3_probe
from archive.s3_connection import Connection
from archive.s3_store import S3Store
from tests.chaos import seaweed
from tests.chaos.faulty_s3 import Fault
from tests.faults.object_store import NONE, SOME, Bench, open_bench, refusal, store_metric
from tests.faults.proof import Outcome, fault, prove
from tests.running import until


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path) as found:
        yield found


_UPLOAD = """
import os, sys
from archive.s3_connection import Bucket
from archive.s3_store import S3Store
url, bucket, access, secret, key = sys.argv[1:]
S3Store(Bucket(name=bucket, endpoint=url), lambda: (access, secret), part_bytes=5 << 20).put_if_absent(key, bytes(12 << 20))
"""


@fault("F4")
@pytest.mark.slow
def test_of_a_writer_killed_in_the_midst_of_an_upload_nothing_is_seen_and_nothing_stays(bench: Bench) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            key, behind = f"{life.feed}/large", bench.behind()
            bench.proxy.tell(Fault("put_part", "silent", first=2))
            arguments = [bench.proxy.url, seaweed.BUCKET, *seaweed.KEY, key]
            writer = subprocess.Popen([sys.executable, "-c", _UPLOAD, *arguments])
            until(lambda: bench.proxy.told.seen["put_part"] >= 2, what="the upload stands in its second part")
            writer.kill()
            writer.wait(10)
            bench.proxy.tell()
            life.also += ["a part of an object is seen"] if behind.head(key) or list(behind.list(key)) else []
            store = bench.store()
            if is_handled:
                fresh = store.abort_stale_uploads(timedelta(days=1))
                life.also += [f"a fresh upload of {fresh} was aborted"] if key in fresh else []
                aborted = store.abort_stale_uploads(timedelta(0))
                life.also += [] if key in aborted else [f"aborted were {aborted}"]
            life.also += [
                f"an upload of {left} stays"
                for left in behind.abort_stale_uploads(timedelta(0))
                if left == key
            ]
            life.record()
            life.ship(store)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("clean", "ok"), at_least=2)


@fault("F5")
def test_a_bucket_that_does_not_exist_is_refused_at_the_start_and_not_made(bench: Bench) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            life.record()
            gone = bench.store(bucket=seaweed.GONE)
            if not is_handled:
                gone._has_answered = True  # it takes it for a trouble that passes
            life.also += refusal(life.ship(gone, seconds=2), exit_code=6, says="the bucket does not exist")
            buckets = [one["Name"] for one in seaweed.client(bench.upstream.url).list_buckets()["Buckets"]]
            life.also += ["the bucket was made"] if seaweed.GONE in buckets else []
            life.ship(bench.store())
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("put", "failed"))


@fault("F5")
@pytest.mark.parametrize("operation", ["put", "list"])
def test_a_bucket_that_goes_away_is_waited_for(bench: Bench, operation: str) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            life.record()
            store = bench.store(SOME if is_handled else NONE)
            assert store.verifies_digest
            bench.proxy.tell(Fault(operation, status=404, code="NoSuchBucket", times=3))
            life.ship(store, patient=is_handled)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric(operation, "failed"), at_least=3)


START = [
    ("InvalidAccessKeyId", 9, "the access key does not exist"),
    ("SignatureDoesNotMatch", 9, "does not fit the access key"),
    ("ExpiredToken", 9, "have expired"),
    ("RequestTimeTooSkewed", 6, "clock"),
    ("AccessDenied", 9, "access is denied"),
]


@fault("F6")
@pytest.mark.parametrize(("code", "exit_code", "says"), START)
def test_each_trouble_with_the_key_is_said_in_its_own_words(
    bench: Bench, code: str, exit_code: int, says: str
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            life.record()
            bench.proxy.tell(
                Fault(
                    "*", status=403 if is_handled else 405, code=code if is_handled else "Unknown", times=99
                )
            )
            life.also += refusal(life.ship(bench.store(), seconds=2), exit_code=exit_code, says=says)
            life.also += ["it was tried again and again"] if bench.proxy.told.hit > 2 else []
            bench.proxy.tell()
            life.ship(bench.store())
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("put", "failed"))


@fault("F6")
def test_a_key_that_was_changed_is_read_again_and_the_work_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        secret = [seaweed.KEY]
        with bench.life() as (life, risen), monkeypatch.context() as patch:
            if not is_handled:
                patch.setattr(Connection, "_has_new_credentials", lambda self, used: False)
            life.record()
            store = bench.store(credentials=lambda: secret[0])
            assert store.verifies_digest
            secret[0] = seaweed.NEW_KEY
            bench.proxy.tell(expired_key=seaweed.KEY[0])
            life.ship(store, patient=is_handled)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("put", "retried"))


@fault("F6")
def test_a_wrong_secret_is_refused_by_the_real_server_and_shown_nowhere(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            life.record()
            wrong = (seaweed.KEY[0], "hunter2-hunter2")
            error = life.ship(
                bench.store(credentials=lambda: wrong if is_handled else seaweed.KEY), seconds=2
            )
            life.also += refusal(error, exit_code=9, says="does not fit the access key")
            life.also += ["the secret was shown"] if "hunter2" in f"{error}{capsys.readouterr()}" else []
            life.ship(bench.store())
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("put", "failed"))


@fault("F7")
def test_a_store_that_overwrites_is_found_out_before_anything_is_entrusted_to_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen), monkeypatch.context() as patch:
            if not is_handled:
                patch.setattr(s3_probe, "_require_condition", lambda connection: None)
            life.record()
            bench.proxy.tell(strip=("if-none-match",))
            store = bench.store()
            error = life.ship(store, seconds=2)
            life.also += refusal(error, exit_code=3, says="ignores If-None-Match")
            if not is_handled:
                life.also += [] if store.put_if_absent(f"{life.feed}/_owner.json", b"{}") else ["kept"]
            bench.proxy.tell()
            life.ship(bench.store())
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("put", "failed"))


@fault("F8")
def test_a_store_that_verifies_no_digest_has_each_object_read_back_and_put_right(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen), monkeypatch.context() as patch:
            if not is_handled:
                patch.setattr(S3Store, "_read_back", lambda self, key, data: None)
            life.record()
            store = bench.store()
            strip = ("x-amz-checksum", "x-amz-sdk-checksum", "content-md5")
            bench.proxy.tell(strip=strip)
            life.also += ["the store is believed to verify"] if store.verifies_digest else []
            # The owner's file comes first, then the part's lines, which the store takes in spoiled.
            bench.proxy.tell(Fault("put", "stored_spoiled", first=2), strip=strip)
            life.ship(store)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("put", "retried"))
