"""Reading the past of a stream, from a real server."""

from typing import Any

import nats
import pytest

from streaming.ordered_reader import TooMuch, read_past
from tests.running import Publisher


async def test_the_past_of_some_subjects_is_read_to_its_end(
    nats_server: str, publisher: Publisher, make: Any
) -> None:
    nc = await nats.connect(nats_server)
    stream = f"ssmd-{publisher.feed}"
    await publisher.publish(*(make.trade("AB"[n % 2], n) for n in range(1, 101)))

    wanted = [f"{publisher.feed}.trade.A", f"{publisher.feed}.gap.*"]
    past = await read_past(nc, stream, subjects=wanted, after=10)
    nothing = await read_past(nc, stream, subjects=[f"{publisher.feed}.trade.C"], after=0)

    assert [seq for _, seq, _ in past] == list(range(12, 101, 2))
    assert nothing == []
    await nc.close()


async def test_reading_more_of_the_past_than_wanted_is_refused_with_how_many_there_are(
    nats_server: str, publisher: Publisher, make: Any
) -> None:
    nc = await nats.connect(nats_server)
    await publisher.publish(*(make.trade("A", n) for n in range(1, 8)))

    with pytest.raises(TooMuch) as much:
        await read_past(nc, f"ssmd-{publisher.feed}", subjects=[f"{publisher.feed}.trade.A"], after=0, most=5)

    assert much.value.count == 7
    await nc.close()
