"""Nothing that happens to a stored byte goes unnoticed: it is named, with its place, and no altered row is ever read."""

import random
import time
from collections import Counter, defaultdict

import pytest

from archive.files import Damaged
from archive.objects import ObjectMissing
from archive.seal import Archive
from archive.verify import verify_day
from registry.refusal import Refused
from streaming.log_reader import CaptureLogError
from tests.archive.days import DAY
from tests.damage.day import Target, log_targets, of_the_next_day, targets, whole_day
from tests.damage.spoiling import spoilt

_REFUSED = (Damaged, ObjectMissing, CaptureLogError, Refused)
QUICK, LONG = 2_000, 20_000
VERIFIED_WHOLE = 101  # one in so many


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return whole_day(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def found(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Target]]:
    """Every object, by kind."""
    kinds: dict[str, list[Target]] = defaultdict(list)
    for target in [*log_targets(tmp_path_factory.mktemp("capture")), *targets(archive)]:
        kinds[target.kind].append(target)
    return kinds


class Table:
    """What came of it, by kind of object."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.silent: list[str] = []
        self.others: list[str] = []

    def __str__(self) -> str:
        names = ("tried", "detected", "with offset", "altered rows read")
        head = f"{'kind':<22}" + "".join(f"{name:>19}" for name in names)
        body = [
            f"{kind:<22}" + "".join(f"{counts[name]:>19,}" for name in names)
            for kind, counts in [*self.counts.items(), ("all", sum(self.counts.values(), Counter()))]
        ]
        return "\n".join([head, *body])


def damage(archive: Archive, kinds: dict[str, list[Target]], chance: random.Random, times: int) -> Table:
    """Spoil one object after the other, look at it, read it, and put it back."""
    table, elsewhere = Table(), of_the_next_day(archive)
    before = {target.path: target.read() for found in kinds.values() for target in found}
    for number in range(times):
        kind = list(kinds)[number % len(kinds)]
        target = chance.choice(kinds[kind])
        sound = target.path.read_bytes()
        others = [one.path.read_bytes() for one in kinds[kind]] + elsewhere.get(kind, [])
        how, data = spoilt(sound, chance.choice(others), chance)
        target.path.write_bytes(data)
        try:
            _judge(target, how, before[target.path], table)
            if number % VERIFIED_WHOLE == 0 and kind != "capture log":
                blamed = {one.key for one in verify_day(archive, DAY)} - {target.key}
                table.others += [f"{target.key} ({how}): {key}" for key in blamed]
        finally:
            target.path.write_bytes(sound)
    return table


def _judge(target: Target, how: str, before: object, table: Table) -> None:
    counts = table.counts[target.kind]
    counts["tried"] += 1
    named = [one for one in target.look() if one.key == target.key]
    counts["detected"] += bool(named)
    counts["with offset"] += any(one.offset is not None for one in named)
    if not named:
        table.silent.append(f"{target.key}: {how}")
    try:
        if target.read() != before:
            counts["altered rows read"] += 1
            table.silent.append(f"{target.key}: {how}: read altered")
    except _REFUSED:
        pass


def _prove(archive: Archive, kinds: dict[str, list[Target]], chance: random.Random, times: int) -> None:
    begun = time.monotonic()
    table = damage(archive, kinds, chance, times)
    print(f"\n{table}\n{times:,} in {time.monotonic() - begun:.0f} s")  # noqa: T201
    assert not table.silent, "\n".join(table.silent)
    assert table.others == []
    assert list(verify_day(archive, DAY, deep=True)) == []


@pytest.mark.slow
def test_two_thousand_damages_are_all_named_and_nothing_else_is(
    archive: Archive, found: dict[str, list[Target]], chance: random.Random
) -> None:
    assert len(found) == 14
    _prove(archive, found, chance, QUICK)


@pytest.mark.soak(minutes=3)
@pytest.mark.timeout(600)
def test_twenty_thousand_damages_are_all_named_and_nothing_else_is(
    archive: Archive, found: dict[str, list[Target]], chance: random.Random
) -> None:
    _prove(archive, found, chance, LONG)
