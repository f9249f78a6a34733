"""Which programs run on one machine, with which words, and in which order they start and stop. Starts nothing."""

import sys
from dataclasses import dataclass
from pathlib import Path

# The order of starting. Later ones need the earlier ones.
_ROOT = Path(__file__).resolve().parents[2]
START_ORDER = (
    "nats", "valkey", "exchange", "connector", "shipper", "archiver", "web", "worker", "beat", "follower",
)  # fmt: skip
# The order of stopping, step by step: no new frames, the bus drained, the last part written, then the rest.
STOP_ORDER = (
    ("exchange",),
    ("connector",),
    ("archiver", "follower"),
    ("shipper",),
    ("web", "beat", "worker"),
    ("valkey",),
    ("nats",),
)


@dataclass(frozen=True, slots=True)
class Program:
    """One process that the supervisor keeps running."""

    name: str
    argv: tuple[str, ...]
    stop_seconds: int = 10  # then it is killed
    ends_by_itself: bool = False  # it is not started a second time

    @property
    def stop_step(self) -> int:
        """Its place in the order of stopping."""
        return next(step for step, names in enumerate(STOP_ORDER) if self.name in names)


@dataclass(frozen=True, slots=True)
class ExchangeOptions:
    """What `ssmd up` hands on to the simulated exchange."""

    port: int
    replay: tuple[Path, ...] = ()
    speed: float | None = None
    ledger: Path | None = None
    markets: int | None = None
    rate: float | None = None
    seed: int | None = None
    once: bool = False
    original_times: bool = False

    def words(self) -> list[str]:
        """As words of the command line of `ssmd exchange start`."""
        valued: list[tuple[str, object]] = [
            ("--port", self.port),
            ("--speed", _plain(self.speed)),
            ("--ledger", self.ledger),
            ("--markets", self.markets),
            ("--rate", _plain(self.rate)),
            ("--seed", self.seed),
        ]
        words = [word for option, value in valued if value is not None for word in (option, str(value))]
        if self.replay:
            words += ["--replay", *map(str, self.replay)]
        return words + ["--once"] * self.once + ["--original-times"] * self.original_times


def _plain(number: float | None) -> str | None:
    return None if number is None else f"{number:g}"


def ssmd(*words: str) -> tuple[str, ...]:
    """This installation's own command line, whether or not its environment is activated."""
    return (sys.executable, str(Path(sys.executable).with_name("ssmd")), *words)


def nats(binary: Path, config: Path) -> Program:
    return Program("nats", (str(binary), "-c", str(config)), stop_seconds=15)


def valkey(binary: Path, config: Path) -> Program:
    return Program("valkey", (str(binary), str(config)))


def exchange(options: ExchangeOptions, *, key_id: str, public_key: Path) -> Program:
    """The simulated exchange, open to the one key that the environment holds."""
    identity = ["--key-id", key_id, "--public-key", str(public_key)]
    argv = ssmd("exchange", "start", *options.words(), *identity)
    return Program("exchange", argv, ends_by_itself=options.once)


def of_environment(name: str, *, web_port: int) -> list[Program]:
    """The processes that carry one environment's data."""
    return [
        Program("connector", ssmd("connector", "start", "--env", name), stop_seconds=20),
        Program("shipper", ssmd("shipper", "start", "--env", name), stop_seconds=30),
        Program("archiver", ssmd("archiver", "start", "--env", name), stop_seconds=30),
        Program("follower", ssmd("market", "follow", "--env", name)),
        Program("web", ssmd("gateway", "start", "--env", name, "--port", str(web_port))),
    ]


def of_schedule() -> list[Program]:
    """Celery: one worker with two threads (a slow venue must not hold up the inventory), and the clock."""
    # Celery imports from where it works: a folder `archive` there, as SSMD_HOME has one, would hide our package.
    celery = (sys.executable, "-m", "celery", "-A", "ssmd.celery", "--workdir", str(_ROOT))
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return [
        Program(
            "worker",
            (*celery, "worker", "--pool", "threads", "--concurrency", "2", "--loglevel", "WARNING", *quiet),
        ),
        Program("beat", (*celery, "beat", "--pidfile", "", "--max-interval", "5", "--loglevel", "WARNING")),
    ]
