"""One of ssmd's programs as it is, with smaller parts and segments: what takes hours happens within seconds.

python process.py connector start --env demo          a command of ssmd
python process.py inventory|seal|gc <date> <now_ns>    what beat and operators do
"""

import sys
from dataclasses import replace
from datetime import date

from archive import archiver, shipper
from streaming import room

SEGMENT_BYTES, PART_BYTES, PART_SECONDS = 2_000_000, 200_000, 0.5
ENVIRONMENT = "demo"


def _smaller() -> None:
    room._MOST_STEP_BYTES = SEGMENT_BYTES
    ship, archive = shipper.run, archiver.run
    shipper.run = lambda config: ship(replace(config, part_bytes=PART_BYTES, part_seconds=PART_SECONDS))
    archiver.run = lambda config: archive(replace(config, part_bytes=PART_BYTES, part_seconds=PART_SECONDS))


def _ssmd(words: list[str]) -> int:
    from ssmd.cli.main import run

    return run(words)


def _work(what: str, on: date, now_ns: int) -> int:
    import django

    django.setup()
    from django.utils import timezone

    from archive.gc import remove, superfluous
    from archive.plan import NothingNew
    from archive.seal import seal_day
    from registry.models import Environment
    from ssmd.archives import archives_of
    from ssmd.tasks import record_parts_of

    version = Environment.objects.get(name=ENVIRONMENT).version_in_force(timezone.now())
    archive = archives_of(version).open()
    if what == "inventory":
        record_parts_of(ENVIRONMENT)
    elif what == "gc":
        remove(archive, superfluous(archive, on, now_ns=now_ns))
    else:
        try:
            seal_day(archive, on, now_ns=now_ns)
        except NothingNew:
            return 0
    return 0


def main() -> int:
    """Run what the words say."""
    _smaller()
    if sys.argv[1] in ("inventory", "seal", "gc"):
        return _work(sys.argv[1], date.fromisoformat(sys.argv[2]), int(sys.argv[3]))
    return _ssmd(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
