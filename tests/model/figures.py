"""A model of delivery: random schedules of faults over the design, and over the design without one of its controls.

How to read it. `design` names the controls and the faults' chances. `world` is what survives a killed process: logs
(`log`), store, stream, rows; and the truth, which only the checker sees. `capture` (connector, publisher, shipper),
`sealing` (sealer, gc, reader, rows) and `bus` (archiver) are the processes: generators that are interleaved, or killed,
wherever they yield; what they hold in variables dies with them. `schedule` runs one of them all, lets it come to rest,
and `checker` compares what the readers find with the truth. Everything follows from (seed, design, faults):

    python -m tests.model.figures 2000        the design's figures, then each control's: after how many schedules it is missed

What the model leaves out: the content of frames and the fold over them, hours within a day, time (gc waits no seven
days, so it finds races that the wait makes unlikely), damaged bytes, a full disk and the policy that drops, several
feeds and owners, clocks that step back, disagreement between versions of the program or its compressor.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TextIO

from tests.model.design import DELETED_MANIFESTS, LATE_PUTS, Design, Faults
from tests.model.schedule import run

DESIGN = Design()
CONTROLS = tuple(one.name for one in fields(Design))


@dataclass
class Tally:
    """What many schedules came to."""

    schedules: int = 0
    frames: int = 0
    bad: int = 0
    lost_by_power: int = 0
    first_bad: int | None = None
    verdicts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    suspicious: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """The figures as lines."""
        head = f"schedules {self.schedules:,}  frames {self.frames:,}  faults {sum(self.faults.values()):,}  bad {self.bad:,}"
        kinds = [*self.verdicts.most_common(), *self.faults.most_common(), *self.suspicious.most_common()]
        return "\n".join([head, *(f"  {count:>9,}  {kind}" for kind, count in kinds)])


def tally(
    seeds: Iterable[int], design: Design = DESIGN, faults: Faults | None = None, *, stop_at: int | None = None
) -> Tally:
    """Run these schedules; at most until so many were bad."""
    found, faults = Tally(), faults or Faults()
    for number, seed in enumerate(seeds, start=1):
        outcome = run(seed, design, faults)
        found.schedules = number
        found.frames += outcome.frames
        found.lost_by_power += outcome.lost_by_power
        found.faults += outcome.faults
        found.suspicious += outcome.suspicious
        if outcome.verdicts:
            found.bad += 1
            found.first_bad = found.first_bad or number
            found.verdicts.update(outcome.verdicts.keys())
            if found.bad == stop_at:
                break
    return found


def main(count: int, stdout: TextIO = sys.stdout) -> None:
    """The table."""
    stdout.write(f"{tally(range(count)).text()}\n\n")
    for control in CONTROLS:
        found = tally(range(count), DESIGN.without(control), stop_at=20)
        verdict = found.verdicts.most_common(1)[0][0] if found.bad else "never missed"
        line = f"{control:40} first {found.first_bad or '-':>5}  bad {found.bad:>2} of {found.schedules:>5}  {verdict}"
        stdout.write(f"{line}\n")
    for name, faults in (("late puts", LATE_PUTS), ("deleted manifests", DELETED_MANIFESTS)):
        for kind, design in (("refused", DESIGN.without("overlaps_are_merged")), ("merged", DESIGN)):
            found = tally(range(count), design, faults)
            stdout.write(f"\n{name}, overlaps {kind}: {found.text().splitlines()[0]}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 2000)
