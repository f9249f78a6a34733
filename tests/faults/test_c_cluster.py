"""C: a cluster of three loses its leader in a burst."""

import asyncio
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from nats.errors import Error as NatsError

from streaming import transport
from tests.faults.bus_faults import REPEATS, forget, proven
from tests.faults.lossy_bus import HardNats, Life
from tests.faults.proof import fault
from tests.running import free_port

NODES = 3
MOST_STALL_SECONDS = 20.0  # an election takes 4 to 9 s of a quiet machine's time


class Cluster(HardNats):
    """Three nodes; those who want one server see the first, and learn of the others from it."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / "node-0")
        self.nodes = [self, *(HardNats(home / f"node-{number}") for number in range(1, NODES))]
        ports = [free_port() for _ in self.nodes]
        routes = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in ports)
        for number, (node, port) in enumerate(zip(self.nodes, ports, strict=True)):
            node.set(
                f"server_name: node-{number}\n"
                f'cluster: {{name: c, listen: "127.0.0.1:{port}", routes: [{routes}]}}\n'
            )

    def start(self) -> None:
        super().start()
        for node in self.nodes[1:]:
            node.start()
        with ThreadPoolExecutor(1) as aside:  # a loop may run here
            aside.submit(asyncio.run, self._until_they_agree()).result()

    async def _until_they_agree(self) -> None:
        client = await transport.connect(self.url, name="operator")
        async with asyncio.timeout(30):
            while True:
                with suppress(NatsError, TimeoutError):
                    await client.jetstream(timeout=2).add_stream(name="first", num_replicas=NODES)
                    break
                await asyncio.sleep(0.2)
        await client.jetstream(timeout=5).delete_stream("first")
        await client.close()

    def stop(self) -> None:
        super().stop()
        for node in self.nodes[1:]:
            node.stop()


async def _leader_killed(one: Life) -> Sequence[str]:
    cluster = one.server
    assert isinstance(cluster, Cluster)
    one.patience *= 2
    await one.step()
    info = await one.client.jetstream(timeout=5).stream_info(one.spec.name)
    assert info.cluster is not None
    leader = cluster.nodes[int(str(info.cluster.leader)[-1])]
    leader.signal(signal.SIGSTOP)  # so that some messages surely have no answer
    await one.step(is_published=False)
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    await asyncio.to_thread(leader.kill)
    await one.step()
    stall = time.monotonic() - begun
    await asyncio.to_thread(HardNats.start, leader)
    async with asyncio.timeout(30):
        while not await _answers(one):
            await asyncio.sleep(0.2)
    return [f"nothing was stored for {stall:.1f} s"] if stall > MOST_STALL_SECONDS else []


async def _answers(one: Life) -> bool:
    """Whether the node that the operator asks knows all of the stream."""
    with suppress(NatsError, TimeoutError):
        async with one.operator() as js:
            await js.stream_info(one.spec.name)
            return True
    return False


@fault("C12")
@pytest.mark.soak(minutes=1)
def test_a_cluster_that_loses_its_leader_in_a_burst_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(
        tmp_path,
        _leader_killed,
        metric=REPEATS,
        off=forget,
        monkeypatch=monkeypatch,
        make_server=Cluster,
        replicas=NODES,
    )
