"""F: the store's answers: refusals, silence, conflicts, spoiled bytes, slowness, and those who only pretend."""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive import s3_connection
from archive.objects import OtherContent, StoreError
from archive.s3_store import S3Store
from tests.chaos.faulty_s3 import Fault
from tests.faults.object_store import NONE, SOME, Bench, open_bench, refusal, store_metric
from tests.faults.proof import Outcome, fault, prove

RETRIED = store_metric("put", "retried")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_bench(tmp_path) as found:
        yield found


@fault("F1")
@pytest.mark.parametrize("operation", ["put", "list"])
@pytest.mark.parametrize(("status", "code"), [(429, "SlowDown"), (500, "InternalError"), (503, "SlowDown")])
def test_a_store_in_trouble_is_asked_again_until_it_has_everything(
    bench: Bench, operation: str, status: int, code: str
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            life.record()
            store = bench.store(SOME if is_handled else NONE)
            assert store.verifies_digest
            bench.proxy.tell(Fault(operation, status=status, code=code, times=3))
            life.ship(store, patient=is_handled)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric(operation, "retried"), at_least=3)


@fault("F2")
@pytest.mark.parametrize("kind", ["reset", "reset_after", "silent", "silent_after"])
def test_an_answer_that_never_came_is_found_out_and_nothing_is_stored_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def takes_it_for_another_s(store: S3Store, key: str, data: bytes, verifies: bool) -> None:
        raise OtherContent(key)

    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen), monkeypatch.context() as patch:
            if not is_handled:
                patch.setattr(S3Store, "_require_same", takes_it_for_another_s)
            life.record()
            store = bench.store(SOME if is_handled else NONE, read_seconds=0.4)
            assert store.verifies_digest
            bench.proxy.tell(Fault("put", kind, times=2))
            life.ship(store, patient=is_handled)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=RETRIED, at_least=2)


@fault("F3")
def test_a_conflict_of_conditional_writes_is_no_refusal(bench: Bench) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            life.record()
            store = bench.store(SOME if is_handled else NONE)
            assert store.verifies_digest
            bench.proxy.tell(Fault("put", status=409, code="ConditionalRequestConflict", first=2, times=2))
            life.ship(store, patient=is_handled)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=RETRIED, at_least=2)


@fault("F9")
def test_bytes_spoiled_on_the_way_in_are_refused_by_the_store_and_sent_again(bench: Bench) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            life.record()
            store = bench.store(SOME if is_handled else NONE)
            assert store.verifies_digest
            bench.proxy.tell(Fault("put", "spoiled_on_the_way", first=2, times=2))
            life.ship(store, patient=is_handled)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=RETRIED, at_least=2)


@fault("F9")
@pytest.mark.parametrize("kind", ["spoiled", "truncated", "shortened"])
def test_bytes_spoiled_on_the_way_out_are_read_again(bench: Bench, kind: str) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            life.record()
            store = bench.store(SOME if is_handled else NONE)
            life.ship(store)
            bench.proxy.tell(Fault("get", kind, times=2))
            return life.outcome(risen, through=store)

    prove(scenario, gaps=(), metric=store_metric("get", "retried"), at_least=2)


@fault("F10")
@pytest.mark.slow
def test_behind_a_slow_store_a_backlog_waits_on_disk_and_not_in_memory(bench: Bench) -> None:
    noise = [
        b'{"type":"trade","sid":1,"msg":{"x":"%d-%s"}}' % (n, os.urandom(24_000).hex().encode())
        for n in range(400)
    ]

    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen):
            life.record(frames=noise)
            store = bench.store()
            assert store.verifies_digest
            bench.proxy.tell(bytes_per_second=3_000_000)
            tracemalloc.start()
            life.ship(store, seconds=60, part_bytes=1 << (20 if is_handled else 30))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            if peak > 8 << 20:
                life.also.append(f"{peak >> 20} MiB were held for a log of {sum(map(len, noise)) >> 20} MiB")
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("put", "ok"), at_least=15)


@fault("F11")
@pytest.mark.parametrize(("kind", "says"), [("html", "web page"), ("redirect", "elsewhere.invalid")])
def test_a_web_page_or_a_way_elsewhere_is_no_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str, says: str
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with bench.life() as (life, risen), monkeypatch.context() as patch:
            if not is_handled:
                patch.setattr(s3_connection, "_look_at", lambda bucket, answer: None)
            life.record()
            bench.proxy.tell(Fault("*", kind, status=302, times=99))
            life.also += refusal(life.ship(bench.store(), seconds=2), exit_code=6, says=says)
            store = bench.store()
            bench.proxy.tell()
            assert store.verifies_digest
            bench.proxy.tell(Fault("*", kind, status=302))
            try:
                life.also.append(f"an object of {store.head(f'{life.feed}/a')} was found")
            except StoreError as error:  # in the midst of work it may pass: not refused, only said
                life.also += [] if says in str(error) else [str(error)]
            life.ship(store)
        return life.outcome(risen)

    prove(scenario, gaps=(), metric=store_metric("head", "failed"))
