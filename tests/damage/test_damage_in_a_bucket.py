"""An object that rots in a bucket while its metadata stays is damage, not a store in trouble."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_s3 import S3Client

from archive import seal_manifest
from archive.damage import examine
from archive.retry import Patience
from archive.rows import StoredRows
from archive.s3_connection import Bucket
from archive.s3_store import S3Store
from archive.seal import Archive, seal_day
from archive.seal_events import read_index
from archive.store import bind_owner
from archive.verify import verify_day
from tests.archive.days import DAY, ENVIRONMENT, FEED, add_session, records
from tests.damage.day import ONE, OVER, frames
from tests.damage.spoiling import spoilt

QUICK, LONG = 12, 400

Files = Sequence[tuple[str, StoredRows]]


class Bucketed(NamedTuple):
    """A sealed day in two buckets, and a way to change an object behind the store's back."""

    archive: Archive
    client: S3Client

    def overwrite(self, bucket: str, key: str, data: bytes) -> None:
        told = self.client.head_object(Bucket=bucket, Key=key)["Metadata"]
        self.client.put_object(Bucket=bucket, Key=key, Body=data, Metadata=told)

    def read(self, bucket: str, key: str) -> bytes:
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()


def store_in(client: S3Client, bucket: str) -> S3Store:
    client.create_bucket(Bucket=bucket)
    place = Bucket(name=bucket, endpoint="https://s3.amazonaws.com")
    return S3Store(place, lambda: ("k", "s"), patience=Patience(attempts=3, sleep=lambda _: None))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucketed]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
        raw, normalized = store_in(client, "raw"), store_in(client, "normalized")
        work: Path = tmp_path_factory.mktemp("work")
        archive = Archive(
            feed=FEED, environment=ENVIRONMENT, raw=raw, normalized=normalized, work=work, code_version="0"
        )
        for store in (raw, normalized):
            bind_owner(store, FEED, ENVIRONMENT)
        add_session(raw, ONE, records(frames(20)))
        seal_day(archive, DAY, now_ns=OVER)
        yield Bucketed(archive, client)


def test_verify_names_each_altered_object_and_goes_on(day: Bucketed) -> None:
    assert list(verify_day(day.archive, DAY)) == []
    keys = [("raw", key) for key in day.archive.raw.list(f"{FEED}/2025/")]
    sealed = [key for key in keys if key[1].endswith(".jsonl.zst")][:2]
    before = {key: day.read(*key) for key in sealed}
    for key, data in before.items():
        day.overwrite(*key, data[:-1] + bytes([data[-1] ^ 1]))

    try:
        assert {finding.key for finding in verify_day(day.archive, DAY)} == {key for _, key in sealed}
    finally:
        for key, data in before.items():
            day.overwrite(*key, data)


def _files(archive: Archive) -> Files:
    manifest = seal_manifest.latest(archive.raw, FEED, DAY)
    assert manifest is not None
    [shard] = manifest.shards
    normalized = read_index(archive.normalized, shard.index)
    return [*(("raw", file) for file in manifest.raw), *(("normalized", file) for file in normalized)]


def test_damages_in_a_bucket_are_all_named(day: Bucketed, chance: random.Random) -> None:
    assert _unnoticed(day, chance, QUICK) == []


@pytest.mark.soak(minutes=1)
def test_four_hundred_damages_in_a_bucket_are_all_named(day: Bucketed, chance: random.Random) -> None:
    assert _unnoticed(day, chance, LONG) == []


def _unnoticed(day: Bucketed, chance: random.Random, times: int) -> list[str]:
    stores = {"raw": day.archive.raw, "normalized": day.archive.normalized}
    files = _files(day.archive)
    unnoticed = []
    for number in range(times):
        bucket, stored = files[number % len(files)]
        sound = day.read(bucket, stored.key)
        how, data = spoilt(sound, day.read(*_other(files, number)), chance)
        day.overwrite(bucket, stored.key, data)
        found = examine(stores[bucket], stored)
        unnoticed += [] if found and found.key == stored.key else [f"{stored.key}: {how}"]
        day.overwrite(bucket, stored.key, sound)
    return unnoticed


def _other(files: Files, number: int) -> tuple[str, str]:
    bucket, stored = files[(number + 1) % len(files)]
    return bucket, stored.key
