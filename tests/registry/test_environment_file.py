"""Environment files: typed values, or all that is wrong at once."""

from pathlib import Path

import pytest

from registry.environment_file import Schedule, Store, SymbolFilter, config_hash, parse_environment
from registry.refusal import Refused

FILES = Path(__file__).parents[2] / "environments"
KALSHI, DEMO = (FILES / "kalshi.yaml").read_text(), (FILES / "demo.yaml").read_text()


def problems(text: str) -> str:
    with pytest.raises(Refused) as refusal:
        parse_environment(text)
    return str(refusal.value)


def test_the_design_s_file_is_read_with_defaults() -> None:
    spec = parse_environment(KALSHI)

    assert (spec.name, spec.feed, spec.runtime) == ("kalshi-prod", "kalshi", "supervisor")
    assert spec.schedule == Schedule("UTC", "00:10", "00:00", "none")
    assert spec.symbols.filters == (
        SymbolFilter("category", "financials"),
        SymbolFilter("category", "crypto"),
    )
    assert (spec.transport.replicas, spec.transport.raw, spec.transport.max_bytes) == (1, "core", 4 * 1024**3)
    assert spec.storage.raw == Store(bucket="ssmd-raw", endpoint="s3.homelab.local", part_seconds=60)
    assert spec.secrets["kalshi"] == "sealed-secret/kalshi-creds"


def test_the_demo_stores_in_folders_and_takes_all_markets() -> None:
    spec = parse_environment(DEMO)

    assert (spec.storage.raw, spec.symbols.filters) == (Store(path="archive/raw", part_seconds=5), ())


BUCKETS = KALSHI.replace("endpoint: s3.homelab.local", "endpoint: http://127.0.0.1:8333\n      {}", 1)


def test_how_a_bucket_is_spoken_to_can_be_said() -> None:
    said = (
        "path_style: false\n      region: eu-central-1\n      checksums: when_required\n      part_seconds: 7"
    )

    storage = parse_environment(BUCKETS.format(said)).storage

    assert storage.raw == Store(
        bucket="ssmd-raw",
        endpoint="http://127.0.0.1:8333",
        part_seconds=7,
        path_style=False,
        region="eu-central-1",
        checksums="when_required",
    )
    assert storage.normalized == Store(
        bucket="ssmd-normalized", endpoint="s3.homelab.local", path_style=True, region="us-east-1"
    )


def test_normalized_parts_have_their_own_length() -> None:
    text = KALSHI.replace("bucket: ssmd-normalized", "bucket: ssmd-normalized\n      part_seconds: 9")

    storage = parse_environment(text).storage

    assert (storage.raw.part_seconds, storage.normalized.part_seconds) == (60, 9)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("path_style: maybe", "Write true or false"),
        ("region: Mars Base", "Like us-east-1"),
        ("checksums: never", "Possible: when_supported, when_required"),
        ("checksum: when_required", "Did you mean 'checksums'?"),
    ],
)
def test_a_mistake_about_a_bucket_is_said(line: str, said: str) -> None:
    assert said in problems(BUCKETS.format(line))


def test_what_is_for_buckets_is_refused_for_a_folder_and_two_archives_never_share_a_bucket() -> None:
    assert "is for a bucket" in problems(
        DEMO.replace("path: archive/normalized", "path: archive/normalized\n      region: eu-west-1")
    )
    assert "the raw archive's bucket as well" in problems(KALSHI.replace("ssmd-normalized", "ssmd-raw"))


def test_the_hash_changes_with_any_byte() -> None:
    assert config_hash(KALSHI) != config_hash(KALSHI + " ")


def test_every_mistake_is_named_at_once() -> None:
    said = problems(KALSHI.replace("  feed:", "  feeed:").replace('"00:10"', '"25:10"').replace("crypto", ""))

    assert "spec.feed: is missing" in said
    assert "Did you mean 'feed'?" in said
    assert "spec.schedule.startup" in said
    assert "filters[1].category" in said


MISTAKES = [
    ("apiVersion: ssmd/v1", "apiVersion: ssmd/v2", "apiVersion"),
    ("kind: Environment", "kind: Enviroment", "Did you mean 'Environment'?"),
    ("name: demo", "name: De mo", "metadata.name"),
    ("name: demo", "name: 7", "metadata.name"),
    ('startup: "00:10"', "startup: 10:10", "in quotes"),
    ("timezone: UTC", "timezone: Mars/Base", "no time zone"),
    ("sync: true", "sync: maybe", "Write true or false"),
    ("url: embedded", "url: http://x", "spec.transport.url"),
    ("url: embedded", "url: nats://user:hunter2@x:4222", "credentials stand in the URL"),
    ("stream: ssmd-kalshi-sim", "stream: a.b", "spec.transport.stream"),
    ("path: archive/raw", "path: ../elsewhere", "without '..'"),
    ("path: archive/raw", "path: archive/normalized", "its own"),
    ("path: archive/raw", "pth: archive/raw", "Did you mean 'path'?"),
    ("part_seconds: 5", "part_seconds: 0", "from 1 to 60"),
    ("part_seconds: 5", "part_seconds: true", "from 1 to 60"),
    ("sealed-secret/kalshi-sim-creds", "../../etc/passwd", "not a reference"),
    ("sealed-secret/kalshi-sim-creds", "sealed-secret/../x", "not a reference"),
    ("kind: Environment", "kind: Environment\nkind: Environment", "'kind' stands twice"),
    ("feed: kalshi-sim", "feed: &a kalshi-sim\n  runtime: *a", "aliases"),
    ("feed: kalshi-sim", "feed: !!python/name:os.system", "constructor"),
    ("feed: kalshi-sim", "feed: [", "Not YAML"),
    ("feed: kalshi-sim", "? [a]\n  : 1", "Not YAML"),
    ("feed: kalshi-sim", "feed: " + "[" * 30 + "]" * 30, "deeper than 20"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), MISTAKES)
def test_a_mistake_is_said_with_its_place(right: str, wrong: str, said: str) -> None:
    assert right in DEMO

    assert said in problems(DEMO.replace(right, wrong))


@pytest.mark.parametrize("text", ["", "[]", "just words", "7", "null"])
def test_a_text_that_is_no_mapping_is_refused(text: str) -> None:
    assert "environments/kalshi.yaml" in problems(text)


def test_a_text_of_a_megabyte_is_refused_unread() -> None:
    assert "larger than 256 KiB" in problems(DEMO + "#" * 1024**2)


def test_a_secret_put_in_by_mistake_is_not_repeated() -> None:
    wrong = DEMO.replace("sealed-secret/kalshi-sim-creds", "hunter2").replace(
        "embedded", "nats://u:hunter2@h"
    )

    assert "hunter2" not in problems(wrong)
