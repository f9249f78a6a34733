"""C: what an old session could not publish does not come to readers of the new one."""

import asyncio
from pathlib import Path

import pytest

from streaming.old_sessions import end_old_sessions
from tests.faults.bus_faults import ANY, PUBLISHED
from tests.faults.lossy_bus import SESSION, STEP, Life, finish
from tests.faults.proof import Outcome, fault, prove, watched

LATER = "lossy-20260101T010000Z-abc124"


@fault("C18")
@pytest.mark.slow
def test_a_new_session_publishes_nothing_of_an_old_ones_tail_and_says_so(tmp_path: Path) -> None:
    """Nothing is replayed to live readers: the tail is named by the crash's notice and healed from raw."""

    def scenario(is_handled: bool) -> Outcome:
        return asyncio.run(_two_sessions(tmp_path / str(is_handled), is_tail_published=not is_handled))

    prove(scenario, gaps=("process_crash",), metric=PUBLISHED, at_least=2 * STEP)


async def _two_sessions(home: Path, *, is_tail_published: bool) -> Outcome:
    one = Life(home)
    one.server.start()
    try:
        return await _one_after_the_other(one, is_tail_published=is_tail_published)
    finally:
        await asyncio.to_thread(one.server.stop)


async def _one_after_the_other(one: Life, *, is_tail_published: bool) -> Outcome:
    with watched() as risen:
        await _crashed(one)
        notices = await end_old_sessions(one.home / "capture", "capture")
        one.begin(LATER, notices=notices)
        one._seq = 0
        running = asyncio.create_task(one.publisher.run(one.url, one.ended))
        await one.step()
        if is_tail_published:
            await _publish_tail(one)
        await one.step()
        await finish(one)
        await running
    return await one.outcome({key.replace(one.feed, ANY): rise for key, rise in risen.items()})


async def _crashed(one: Life) -> None:
    """A session whose last events did not reach the bus."""
    running = asyncio.create_task(one.publisher.run(one.url, one.ended))
    await one.step()
    await one.stop_bus()
    await one.step(is_published=False)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    one.log.close()
    await one.start_bus()


async def _publish_tail(one: Life) -> None:
    ended = asyncio.Event()
    running = asyncio.create_task(one.publisher_of(SESSION).run(one.url, ended))
    await asyncio.sleep(0.5)
    ended.set()
    await running
