"""The simulated exchange at its worst and a connector that records it, in this process: for faults of the exchange.

Everything that takes seconds takes a tenth of them here. What the exchange's ledger says, with its times, is the truth.
"""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from streaming import metrics
from streaming.connector_config import ConnectorConfig
from streaming.kalshi.rest import Credentials
from streaming.kalshi.simulator.auth import Door
from streaming.kalshi.simulator.options import Options
from streaming.kalshi.simulator.server import Service
from streaming.transport import StreamSpec
from tests.faults.a_ledger import mistimed, unplanned
from tests.faults.b_venue import Session, no_bus
from tests.faults.capture_rig import Rig
from tests.faults.proof import Outcome, prove, samples, watched
from tests.faults.recorder import ENVIRONMENT, FEED

NOBODY = "ws://127.0.0.1:1/trade-api/ws/v2"
PATIENCE_SECONDS, UNHANDLED_SECONDS = 5.0, 0.5
GAPS = f'ssmd_connector_gaps_total{{feed="{FEED}"}}'
RECONNECTS = f'ssmd_connector_reconnects_total{{feed="{FEED}"}}'
Act = Callable[["Life"], Awaitable[None]]
Judge = Callable[[Rig], list[str]]


class Key:
    """A key pair; its private half is ours, its public half the exchange's."""

    def __init__(self, name: str) -> None:
        self._pair = Ed25519PrivateKey.generate()
        self.name = name

    @property
    def public(self) -> str:
        """In PEM."""
        key = self._pair.public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def credentials(self) -> Credentials:
        """As a connector is given them."""
        pem = self._pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Credentials(self.name, pem)


KEY = Key("first")


@dataclass
class Life:
    """An exchange and the connector that records it; `wrong` is what the test finds beside gaps, metric and oracle."""

    rig: Rig
    exchange: Service
    session: Session
    patience: float
    began_ns: list[int] = field(default_factory=list)
    ended_ns: list[int] = field(default_factory=list)  # of faults whose end no frame shows
    wrong: list[str] = field(default_factory=list)

    def fault(self, **entry: Any) -> int:
        """Order a fault; the loss begins now."""
        self.began_ns.append(time.time_ns())
        return self.exchange.fault(**entry)

    def clear(self, number: int) -> None:
        """End a fault."""
        self.exchange.trouble.clear(number)

    async def struck(self, **entry: Any) -> None:
        """Order a fault, wait until it has struck as often as it does, and for some frames after it."""
        number = self.fault(**entry)
        await self.until(lambda: not self.exchange.trouble.mischief.is_on(number))
        await self.more()

    async def lost(self, losses: int = 1) -> None:
        """So many losses have begun; where more than the first, this one does now."""
        await self.until(lambda: gaps_begun() - self.gaps_before >= losses)
        self.began_ns.append(time.time_ns())

    def claim(self, holds: object, otherwise: str) -> None:
        """Something else that must be so."""
        if not holds:
            self.wrong.append(otherwise)

    def count_of(self, metric: str) -> float:
        """A metric as it stands."""
        return samples().get(metric, 0)

    @property
    def line(self) -> Any:
        """The connector's first line."""
        return self.session.capture._lines[0]

    async def until(self, holds: Callable[[], object]) -> bool:
        """Whether it came true in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                while not (self.session.capture and holds()) and not self.session.running.done():
                    await asyncio.sleep(0.005)
        return bool(self.session.capture and holds())

    async def ready(self) -> None:
        """All that is wanted comes."""
        await self.until(lambda: self.session.capture.is_ready)

    async def more(self, count: int = 10) -> None:
        """So many more frames are recorded."""
        before = self.session.capture.frames
        await self.until(lambda: self.session.capture.frames >= before + count)

    async def over(self, losses: int = 1) -> None:
        """So many losses have begun since the beginning, none goes on, and frames come again."""
        await self.until(lambda: gaps_begun() - self.gaps_before >= losses and not gaps_open())
        await self.more()

    gaps_before: float = 0.0


def gaps_begun() -> float:
    return float(metrics.CONNECTOR_GAPS.labels(FEED)._value.get())


def gaps_open() -> float:
    return float(metrics.CONNECTOR_GAPS_OPEN.labels(FEED)._value.get())


def errors(kind: str) -> str:
    """The metric of one kind of error."""
    return f'ssmd_connector_errors_total{{error_type="{kind}",feed="{FEED}"}}'


def received(kind: str) -> str:
    """The metric of frames of one type."""
    return f'ssmd_connector_messages_received_total{{feed="{FEED}",type="{kind}"}}'


@asynccontextmanager
async def an_exchange(**changes: Any) -> AsyncIterator[Service]:
    """It lives while the block does, on a free port."""
    defaults: dict[str, Any] = {
        "host": "127.0.0.1", "port": 0, "seed": 1, "markets": 2, "rate": 300.0, "replay": (), "speed": 0.0,
        "once": False, "original_times": False, "ledger": None, "door": Door({KEY.name: KEY.public}),
        "heartbeat_s": 0.1, "rest_tokens": 1e6,
    }  # fmt: skip
    service, stop = Service(Options(**(defaults | changes))), asyncio.Event()
    if service._life is not None:
        service._life._budget = 0.0  # it would be silent for half a second, for what happened before its time
    running = asyncio.create_task(service.serve(stop, stderr=io.StringIO()))
    while not service.port and not running.done():
        await asyncio.sleep(0.001)
    try:
        yield service
    finally:
        stop.set()
        await running
        service.close()


def config_for(rig: Rig, exchange: Service, **changes: Any) -> ConnectorConfig:
    """All markets of the exchange, with the key that it knows."""
    scheme = changes.pop("scheme", "ws")
    at = f"127.0.0.1:{exchange.port}/trade-api"
    given: dict[str, Any] = {
        "endpoint": f"{scheme}://{at}/ws/v2", "rest_endpoint": f"http://{at}/v2", "credentials": KEY.credentials,
        "nats_url": "nats://127.0.0.1:1", "with_raw": False,
    }  # fmt: skip
    return ConnectorConfig(
        feed=FEED, feed_version="v2", environment=ENVIRONMENT, environment_version=1, config_hash="h",
        stream=StreamSpec(f"ssmd-{FEED}", FEED, max_bytes=2**26), capture=rig.capture, code_version="0",
        **(given | changes),
    )  # fmt: skip


def lived(
    home: Path,
    act: Act,
    *,
    handled: bool,
    exchange: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    orders: Sequence[dict[str, Any]] = (),
    judge: Judge = lambda rig: [],
    is_timed: bool = True,
    is_distinct: bool = False,
) -> Outcome:
    """What came of it: the gap rows, also judged by the ledger's times, the metrics, the oracle's verdict.

    `orders` are faults that are on before the connector comes. `is_distinct` counts each type of gap once; `judge` says what else is wrong with the archive.
    """
    rig = Rig(home / ("handled" if handled else "unhandled"))
    metrics.CONNECTOR_GAPS_OPEN.labels(FEED).set(0)
    config = config or {}
    with watched() as risen, nullcontext() if "nats_url" in config else no_bus():
        life = asyncio.run(_live(rig, act, exchange or {}, config, orders, handled=handled))
        rig.ship()
    if is_timed:
        life.wrong += mistimed(rig, life.began_ns, life.ended_ns)
    life.wrong += judge(rig)
    outcome = rig.outcome(risen, *life.wrong)
    gaps = [loss.gap.cause for loss in unplanned(rig.archive())]
    return Outcome(tuple(set(gaps) if is_distinct else gaps), outcome.metrics, outcome.faults, outcome.also)


def prove_by_living(
    home: Path,
    act: Act,
    off: Callable[[], None],
    *,
    gaps: tuple[str, ...],
    metric: str,
    at_least: float = 1,
    **options: Any,
) -> Outcome:
    """`prove`, where `off` switches the handling off."""

    def scenario(is_handled: bool) -> Outcome:
        if not is_handled:
            off()
        return lived(home, act, handled=is_handled, **options)

    return prove(scenario, gaps=gaps, metric=metric, at_least=at_least)


async def _live(
    rig: Rig,
    act: Act,
    exchange: dict[str, Any],
    config: dict[str, Any],
    orders: Sequence[dict[str, Any]],
    *,
    handled: bool,
) -> Life:
    async with an_exchange(ledger=rig.ledger, **exchange) as service:
        for order in orders:
            service.fault(**order)
        session = Session(config_for(rig, service, **config))
        patience = PATIENCE_SECONDS if handled else UNHANDLED_SECONDS
        life = Life(rig, service, session, patience, gaps_before=gaps_begun())
        try:
            await life.until(lambda: session.capture)
            await act(life)
        finally:
            await session.end()
        return life
