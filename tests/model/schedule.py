"""One random schedule: who moves when, what fails, and then rest."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from tests.model import sealing
from tests.model.bus import archiver
from tests.model.capture import Process, start_connector, start_shipper
from tests.model.checker import check
from tests.model.design import NO_FAULTS, Design, Faults
from tests.model.world import Steps, World

STEPS = 320
MAX_CONNECTORS = 2  # a hand-over
WORK = (sealing.sealer, sealing.sealer, sealing.gc, sealing.reader, sealing.reindexer, archiver, archiver)


class Outcome(NamedTuple):
    """What one schedule came to."""

    frames: int
    lost_by_power: int
    verdicts: Counter[str]
    faults: Counter[str]
    suspicious: Counter[str]


class Schedule:
    """The processes of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.connectors: list[Process] = [start_connector(world)]
        self.shippers = [start_shipper(world) for _ in range(2)]  # the second by mistake
        self.others = [sealing.start(world, work) for work in WORK]

    def step(self) -> None:
        """Something moves, and now and then something breaks."""
        world, chance = self.world, self.world.random.random()
        self._break()
        if chance < 0.4 and self.connectors:
            world.random.choice(self.connectors).step()
        elif chance < 0.65:
            world.random.choice(self.shippers).step()
        else:
            world.random.choice(self.others).step()

    def _break(self) -> None:
        world, faults = self.world, self.world.faults
        if world.random.random() > 0.15:  # most steps are quiet; the chances are of a step all the same
            return
        if world.happens(faults.kill / 0.15):
            self._kill()
        if world.happens(faults.power_loss / 0.15, "power loss"):
            self._lose_power()
        if world.happens(faults.tail_loss / 0.15, "stream lost its tail"):
            world.stream.lose_tail()
        if world.happens(faults.purge / 0.15, "stream purged"):
            world.stream.purge()
        if world.happens(faults.recreate / 0.15, "stream recreated"):
            world.stream.recreate()
        if world.happens(faults.midnight / 0.15, "midnight"):
            world.day += 1
        if world.happens(faults.manifest_deleted / 0.15, "manifest deleted by hand"):
            self._delete_a_manifest()
        if world.store.in_flight and world.happens(0.03):
            world.store.land()
        self._keep_connected()

    def _keep_connected(self) -> None:
        """A connector ends, or a new one begins before the old has ended."""
        world = self.world
        self.connectors = [one for one in self.connectors if one.tasks]
        if self.connectors and world.happens(0.1):
            self.connectors[0].is_stopping = True
        if len(self.connectors) < MAX_CONNECTORS and world.happens(0.1 if self.connectors else 0.7):
            self.connectors.append(start_connector(world))

    def _kill(self) -> None:
        world = self.world
        victims = (self.connectors, self.shippers, self.others, self.others)
        group = world.random.choice([one for one in victims if one])
        index = world.random.randrange(len(group))
        group[index].kill()
        if group is self.connectors:
            world.faults_seen["connector killed"] += 1
            del group[index]
        elif group is self.shippers:
            world.faults_seen["shipper killed"] += 1
            group[index] = start_shipper(world)
        else:
            world.faults_seen[f"{WORK[index].__name__} killed"] += 1
            group[index] = sealing.start(world, WORK[index])

    def _lose_power(self) -> None:
        """The host of the logs, and of those who write and ship them."""
        for process in (*self.connectors, *self.shippers):
            process.kill()
        for log in self.world.logs:
            log.lose_power()
        self.connectors = []
        self.shippers = [start_shipper(self.world) for _ in self.shippers]
        if self.world.happens(0.5):
            self.world.stream.lose_tail()

    def _delete_a_manifest(self) -> None:
        kinds = self.world.store.kinds
        if kinds["part"]:
            key = self.world.random.choice(list(kinds["part"]))
            self.world.store.delete("part", key)
            self.world.deleted |= {record.uid for record in kinds["data"].get(key, ())}

    def rest(self, *, is_sealed: bool) -> None:
        """No more faults: sessions end, and all work until nothing changes any more."""
        world = self.world
        world.faults, world.is_resting = NO_FAULTS, True
        for process in self.connectors:
            process.is_stopping = True
        for process in self.shippers:
            process.kill()
        self.shippers = [start_shipper(world)]
        self._settle([*self.connectors, *self.shippers], steps=12)
        world.store.land()
        self._settle(self._that(archiver), steps=6)
        if is_sealed:
            self._settle([*self._that(sealing.sealer), *self._that(sealing.gc)], steps=4 * world.day)
        self._settle(self._that(sealing.reindexer), steps=4 * world.day)

    def _that(self, work: Callable[[World], Steps]) -> list[Process]:
        return [one for one, its in zip(self.others, WORK, strict=True) if its is work]

    def _settle(self, processes: list[Process], *, steps: int) -> None:
        """Let these work until four rounds change nothing; what never comes to rest is left as it is."""
        quiet = 0
        for _ in range(60):
            before = self.world.changes
            for process in processes:
                for _ in range(steps + 4 * len(process.tasks)):
                    process.step()
            quiet = quiet + 1 if self.world.changes == before else 0
            if quiet == 4:
                return


def run(seed: int, design: Design, faults: Faults) -> Outcome:
    """The same seed, design and faults give the same outcome."""
    world = World(seed, design, faults)
    schedule = Schedule(world)
    for _ in range(STEPS):
        schedule.step()
    is_sealed = seed % 3 > 0
    schedule.rest(is_sealed=is_sealed)
    check(world, is_sealed=is_sealed)
    frames = sum(record.kind == "frame" for record in world.appended.values())
    return Outcome(frames, len(world.lost), world.verdicts, world.faults_seen, world.suspicious)
