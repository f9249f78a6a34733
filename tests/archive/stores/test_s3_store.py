"""What is particular to a bucket: capabilities, credentials, addresses, digests, uploads, and what is said at the start."""

import hashlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from archive.directory_store import DirectoryStore
from archive.objects import ObjectMissing, OtherContent
from archive.retry import Budget, Patience, Transient
from archive.s3_connection import Bucket, make_client
from archive.s3_store import S3Store
from archive.store import open_store, place_of, remove_leftovers, store_usable
from registry.environment_file import Store as StoreSpec
from registry.refusal import ExitCode, Refused
from tests.archive.stores.conftest import PART_BYTES
from tests.chaos import seaweed
from tests.chaos.faulty_s3 import Fault, FaultyS3
from tests.chaos.seaweed import Seaweed
from tests.faults.object_store import store_metric
from tests.faults.proof import samples, watched
from tests.running import free_port

ONCE = Patience(attempts=1)


def test_seaweedfs_verifies_digests_and_moto_does_not(seaweed_store: S3Store, moto_store: S3Store) -> None:
    assert seaweed_store.verifies_digest
    assert not moto_store.verifies_digest


def test_the_capabilities_are_asked_for_once(proxy: FaultyS3, place: str) -> None:
    store = S3Store(Seaweed(proxy.url).bucket(), lambda: seaweed.KEY)
    store.put_if_absent(f"{place}/a", b"x")
    before = proxy.told.seen["put"]

    store.put_if_absent(f"{place}/b", b"x")

    assert proxy.told.seen["put"] == before + 1


def test_who_only_reads_writes_no_probe(proxy: FaultyS3, place: str) -> None:
    store = S3Store(Seaweed(proxy.url).bucket(), lambda: seaweed.KEY)

    assert list(store.list(f"{place}/")) == []
    assert store.head(f"{place}/a") is None

    assert proxy.told.seen["put"] == 0


def test_probes_are_not_listed_as_objects(seaweed_store: S3Store, place: str) -> None:
    seaweed_store.put_if_absent(f"{place}/a", b"x")

    assert not [key for key in seaweed_store.list("") if key.startswith("_probe")]


def test_a_store_that_takes_no_checksum_headers_gets_content_md5(proxy: FaultyS3, place: str) -> None:
    store = S3Store(
        Seaweed(proxy.url).bucket(checksums="when_required"), lambda: seaweed.KEY, part_bytes=PART_BYTES
    )
    proxy.tell(Fault("put", "spoiled_on_the_way", first=5))

    assert store.verifies_digest
    for size in (7, PART_BYTES + 1):
        data = bytes(size)
        assert store.put_if_absent(f"{place}/{size}", data)
        assert store.get(f"{place}/{size}") == data


def test_an_object_that_somebody_else_put_there_is_compared_by_its_content(
    seaweed_store: S3Store, seaweed_server: Seaweed, place: str
) -> None:
    operator = seaweed.client(seaweed_server.url)
    operator.put_object(Bucket=seaweed.BUCKET, Key=f"{place}/a", Body=b"content")

    assert not seaweed_store.put_if_absent(f"{place}/a", b"content")
    with pytest.raises(OtherContent):
        seaweed_store.put_if_absent(f"{place}/a", b"else")
    assert seaweed_store.get(f"{place}/a") == b"content"


def test_an_object_that_says_it_is_ours_and_is_half_of_it_is_put_right(
    seaweed_store: S3Store, seaweed_server: Seaweed, place: str
) -> None:
    operator, data = seaweed.client(seaweed_server.url), b"content" * 100
    told = {"sha256": hashlib.sha256(data).hexdigest()}
    operator.put_object(Bucket=seaweed.BUCKET, Key=f"{place}/a", Body=data[:300], Metadata=told)

    assert not seaweed_store.put_if_absent(f"{place}/a", data)

    assert seaweed_store.get(f"{place}/a") == data


def test_stale_uploads_are_aborted_and_fresh_ones_stay(
    seaweed_store: S3Store, seaweed_server: Seaweed, place: str
) -> None:
    operator = seaweed.client(seaweed_server.url)
    operator.create_multipart_upload(Bucket=seaweed.BUCKET, Key=f"{place}/a")

    assert f"{place}/a" not in seaweed_store.abort_stale_uploads(timedelta(hours=24))
    assert seaweed_store.abort_stale_uploads(timedelta(0)) == (f"{place}/a",)
    assert remove_leftovers(seaweed_store, timedelta(0)) == 0


def test_more_keys_than_a_page_holds_are_all_listed_in_order(seaweed_server: Seaweed, place: str) -> None:
    store = S3Store(seaweed_server.bucket(), lambda: seaweed.KEY, page_keys=7)
    keys = sorted(f"{place}/{folder}/{number:02d}" for folder in ("a", "a-b", "b") for number in range(12))
    for key in keys:
        store.put_if_absent(key, b"x")

    assert list(store.list(f"{place}/")) == keys
    assert list(store.list(f"{place}/a/")) == keys[12:24]


@pytest.mark.slow
def test_more_than_a_thousand_keys_are_all_listed(moto_store: S3Store) -> None:
    keys = [f"a/{number:05d}" for number in range(1005)]
    for key in keys:
        moto_store._connection.call("put_object", Key=key, Body=b"")

    assert list(moto_store.list("a/")) == keys


@pytest.mark.parametrize(
    ("key", "code", "said"),
    [
        (("nobody", "x"), ExitCode.PERMISSION, "the access key does not exist"),
        ((seaweed.KEY[0], "hunter2"), ExitCode.PERMISSION, "does not fit the access key"),
    ],
)
def test_a_wrong_key_is_refused_at_the_start_with_what_would_be_right(
    seaweed_server: Seaweed, place: str, key: tuple[str, str], code: ExitCode, said: str
) -> None:
    store = S3Store(seaweed_server.bucket(), lambda: key, patience=ONCE)

    with pytest.raises(Refused, match=said) as caught:
        store.put_if_absent(f"{place}/a", b"x")

    assert caught.value.exit_code == code
    assert "spec.secrets" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("is_path", "url"),
    [(True, "https://s3.example.net/ssmd-raw/k"), (False, "https://ssmd-raw.s3.example.net/k")],
)
def test_the_bucket_stands_in_the_path_or_in_the_host_as_the_environment_says(
    is_path: bool, url: str
) -> None:
    bucket = Bucket(name="ssmd-raw", endpoint="https://s3.example.net", path_style=is_path)

    client = make_client(bucket, ("key", "secret"))

    signed = client.generate_presigned_url("get_object", Params={"Bucket": "ssmd-raw", "Key": "k"})
    assert signed.split("?")[0] == url


def test_an_environment_s_bucket_is_opened_with_the_secret_it_names(
    proxy: FaultyS3, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSMD_SECRET_S3_CREDS_ACCESS_KEY", seaweed.KEY[0])
    monkeypatch.setenv("SSMD_SECRET_S3_CREDS_SECRET_KEY", seaweed.KEY[1])
    spec = StoreSpec(bucket=seaweed.BUCKET, endpoint=proxy.url)
    store = open_store(spec, tmp_path, secrets={"s3": "sealed-secret/s3-creds"})
    store.put_if_absent(f"{place}/a", b"x")

    # The secret is renewed while the process runs: the old key is refused, the new one is read.
    monkeypatch.setenv("SSMD_SECRET_S3_CREDS_ACCESS_KEY", seaweed.NEW_KEY[0])
    monkeypatch.setenv("SSMD_SECRET_S3_CREDS_SECRET_KEY", seaweed.NEW_KEY[1])
    proxy.tell(expired_key=seaweed.KEY[0])

    assert store.get(f"{place}/a") == b"x"


def test_a_secret_that_is_not_there_is_said_before_anything_is_asked_of_the_store(tmp_path: Path) -> None:
    spec = StoreSpec(bucket="ssmd-raw", endpoint="s3.example.net")

    with pytest.raises(Refused, match="has no access_key"):
        open_store(spec, tmp_path, secrets={"s3": "sealed-secret/no-such-creds"})


def test_a_store_says_why_it_cannot_be_used(
    seaweed_server: Seaweed, seaweed_store: S3Store, tmp_path: Path
) -> None:
    def reasons(bucket: Bucket) -> str:
        store = S3Store(bucket, lambda: seaweed.KEY, patience=ONCE)
        return " ".join(map(str, store_usable(store)))

    assert store_usable(seaweed_store) == []
    assert store_usable(DirectoryStore(tmp_path)) == []
    assert "the bucket does not exist" in reasons(seaweed_server.bucket(seaweed.GONE))
    assert "cannot be used now" in reasons(Bucket(name="any", endpoint=f"http://127.0.0.1:{free_port()}"))


def test_settings_of_the_user_s_aws_tools_change_nothing(
    seaweed_server: Seaweed, tmp_path: Path, place: str
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-north-1\ns3 =\n  addressing_style = virtual\n")
    code = (
        "import sys; from archive.s3_connection import Bucket; from archive.s3_store import S3Store\n"
        "url, bucket, access, secret, key = sys.argv[1:]\n"
        "S3Store(Bucket(name=bucket, endpoint=url), lambda: (access, secret)).put_if_absent(key, b'x')"
    )
    odd = {
        "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL_S3": "http://elsewhere.invalid",
    }

    arguments = [seaweed_server.url, seaweed.BUCKET, *seaweed.KEY, f"{place}/a"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], env={**os.environ, **odd}, check=False)

    assert done.returncode == 0


def test_operations_are_counted_by_result_and_every_series_exists_from_the_start(
    proxy: FaultyS3, place: str
) -> None:
    store = S3Store(Seaweed(proxy.url).bucket(), lambda: seaweed.KEY, patience=Patience(sleep=lambda _: None))
    assert {
        store_metric(operation, "failed") for operation in ("put", "get", "head", "list", "delete")
    } <= set(samples())
    store.put_if_absent(f"{place}/a", b"x")
    proxy.tell(Fault("put", status=503, code="SlowDown"))

    with watched() as risen:
        store.put_if_absent(f"{place}/b", b"x")
        with pytest.raises(OtherContent):
            store.put_if_absent(f"{place}/a", b"y")
        with pytest.raises(ObjectMissing):
            store.get(f"{place}/c")

    told = [("put", "ok"), ("put", "retried"), ("put", "other"), ("get", "missing"), ("put", "failed")]
    assert [risen[store_metric(*one)] for one in told] == [1, 1, 1, 1, 0]


def test_all_of_one_operation_draws_on_one_budget() -> None:
    tries: list[str] = []
    budget = Budget(Patience(attempts=3, seconds=9, sleep=lambda _: None), lambda error: None)

    def fail(name: str) -> None:
        tries.append(name)
        raise Transient(name)

    with pytest.raises(Transient):
        budget.run(lambda: budget.run(lambda: fail("part")))

    assert tries == ["part"] * 3


def test_a_place_in_a_bucket_is_told_as_a_url() -> None:
    store = S3Store(Bucket(name="ssmd-raw", endpoint="http://127.0.0.1:1"), lambda: ("key", "secret"))

    assert place_of(store, "kalshi/2025/12/14/") == "s3://ssmd-raw/kalshi/2025/12/14/"
