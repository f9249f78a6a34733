"""The same questions to a folder, to moto and to a real SeaweedFS."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_s3 import S3Client

from archive.directory_store import DirectoryStore
from archive.objects import Store
from archive.retry import Patience
from archive.s3_connection import Bucket
from archive.s3_store import S3Store
from tests.chaos import seaweed
from tests.chaos.faulty_s3 import FaultyS3
from tests.chaos.seaweed import Seaweed

IMPATIENT = Patience(attempts=4, seconds=20, sleep=lambda _: None)
PART_BYTES = 5 * 1024 * 1024


@pytest.fixture(scope="session")
def seaweed_server() -> Seaweed:
    return seaweed.running()


@pytest.fixture(params=["directory", "moto", "seaweed"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
def directory_store(tmp_path: Path) -> Store:
    return DirectoryStore(tmp_path / "raw")


@pytest.fixture
def moto_store() -> Iterator[Store]:
    with mock_aws():
        bucket = Bucket(name="ssmd-raw", endpoint="https://s3.amazonaws.com")
        boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
        ).create_bucket(Bucket="ssmd-raw")
        yield S3Store(bucket, lambda: ("k", "s"), patience=IMPATIENT, part_bytes=PART_BYTES)


@pytest.fixture
def seaweed_store(seaweed_server: Seaweed) -> Store:
    return S3Store(seaweed_server.bucket(), lambda: seaweed.KEY, patience=IMPATIENT, part_bytes=PART_BYTES)


@pytest.fixture(scope="session")
def session_proxy(seaweed_server: Seaweed) -> Iterator[FaultyS3]:
    with FaultyS3(seaweed_server.url, key=seaweed.KEY) as proxy:
        yield proxy


@pytest.fixture
def proxy(session_proxy: FaultyS3) -> Iterator[FaultyS3]:
    """A proxy before SeaweedFS that forwards everything until it is told otherwise."""
    session_proxy.tell()
    yield session_proxy
    session_proxy.tell()


@pytest.fixture
def place() -> str:
    """A prefix of the test's own: the bucket is shared."""
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def faulty_session_store(session_proxy: FaultyS3) -> Store:
    """One store for all cases: its probe is behind it, and it is known to have answered."""
    session_proxy.tell()
    store = S3Store(
        Seaweed(session_proxy.url).bucket(read_seconds=0.4),
        lambda: seaweed.KEY,
        patience=Patience(attempts=4, seconds=20, sleep=lambda _: None),
        part_bytes=PART_BYTES,
    )
    assert store.verifies_digest
    return store


@pytest.fixture
def faulty_store(faulty_session_store: Store, proxy: FaultyS3) -> Store:
    """The same, while the proxy is well-behaved."""
    return faulty_session_store


@pytest.fixture(scope="session")
def behind(seaweed_server: Seaweed) -> Store:
    """The same bucket, past the proxy: what really is there."""
    return S3Store(seaweed_server.bucket(), lambda: seaweed.KEY)


@pytest.fixture(scope="session")
def operator(seaweed_server: Seaweed) -> S3Client:
    return seaweed.client(seaweed_server.url)


@pytest.fixture
def nothing_is_left_over(
    request: pytest.FixtureRequest, behind: S3Store, operator: S3Client, place: str
) -> Iterator[None]:
    """After each case: no upload that is neither completed nor aborted."""
    yield
    uploads = operator.list_multipart_uploads(Bucket=seaweed.BUCKET)
    left = {one["Key"] for one in uploads.get("Uploads", [])} & {f"{place}/a"}
    if "status_after-create_upload" in request.node.name:
        assert left  # S3 never told us its id: this is what the clearing away is for
        behind.abort_stale_uploads(timedelta(0))
    else:
        assert not left
