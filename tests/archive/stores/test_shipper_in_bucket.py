"""The shipper's own process with an environment that keeps raw data in a bucket: what an operator sees."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from archive.s3_store import S3Store
from streaming.capture_log import CaptureLog
from streaming.marks import SessionEnd
from streaming.records import Kind
from tests.archive.conftest import start_mark
from tests.chaos import seaweed
from tests.chaos.seaweed import Seaweed
from tests.oracle import Sent, judge_archive, read_archive
from tests.running import until

SSMD = str(Path(sys.executable).parent / "ssmd")
# Its own feed's prefix in the shared bucket: no other test ships `kalshi-sim` there.
FEED = "kalshi-sim"

_APPLY = """
import django; django.setup()
import sys
from pathlib import Path
from django.utils import timezone
from registry.models import Environment
text = Path("environments/demo.yaml").read_text()
text = text.replace("path: archive/raw  # relative to SSMD_HOME", "bucket: ssmd-raw\\n      endpoint: " + sys.argv[1])
text = text.replace("  secrets:", "  secrets:\\n    s3: sealed-secret/s3-creds")
Environment.objects.get(name="demo").add_version(text).apply(at=timezone.now(), by="a test")
"""


@pytest.fixture
def home(tmp_path: Path, seaweed_server: Seaweed) -> Path:
    home = tmp_path / "home"
    environment = _environment(home)
    for command in (
        [SSMD, "bootstrap"],
        [sys.executable, "-c", _APPLY, seaweed_server.url],
    ):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    return home


def _environment(home: Path, *, secret: str = seaweed.KEY[1]) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SSMD_")},
        "DJANGO_SETTINGS_MODULE": "ssmd.settings",
        "SSMD_HOME": str(home),
        "SSMD_SECRET_S3_CREDS_ACCESS_KEY": seaweed.KEY[0],
        "SSMD_SECRET_S3_CREDS_SECRET_KEY": secret,
    }


def _record(home: Path) -> list[Sent]:
    log = CaptureLog(home / "capture" / "demo" / f"{FEED}-1", environment="demo", session=f"{FEED}-1")
    log.mark(start_mark())
    frames = [b'{"type":"trade","sid":2,"seq":%d,"msg":{"market_ticker":"X"}}' % n for n in range(500)]
    for frame in frames:
        log.append(frame, kind=Kind.TEXT, connection=1)
    log.mark(SessionEnd("stopped"))
    log.close()
    return [Sent(1, frame) for frame in frames]


@pytest.mark.slow
def test_the_shipper_ships_into_a_bucket_and_refuses_a_wrong_secret_in_plain_words(
    home: Path, seaweed_server: Seaweed
) -> None:
    sent = _record(home)
    refused = subprocess.run(
        [SSMD, "shipper", "start", "--env", "demo"],
        env=_environment(home, secret="hunter2"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 9, refused.stderr
    assert "the secret key does not fit the access key" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "hunter2" not in refused.stdout + refused.stderr

    with (home / "log").open("wb") as log:
        shipper = subprocess.Popen(
            [SSMD, "shipper", "start", "--env", "demo"], env=_environment(home), stdout=log, stderr=log
        )
    store = S3Store(seaweed_server.bucket(), lambda: seaweed.KEY)
    try:
        until(lambda: len(read_archive(store, FEED)) == 1, what="the session is in the bucket", seconds=60)
    finally:
        shipper.send_signal(signal.SIGTERM)
    assert shipper.wait(30) == 0

    assert judge_archive(sent, read_archive(store, FEED)).faults == []
