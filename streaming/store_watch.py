"""Asks the bus whether it still holds what it acknowledged: a store may be restored, purged or deleted under us."""

import asyncio
import time
from typing import Any

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from streaming import transport
from streaming.anchors import Anchor, Anchors, Hole

ANSWER_WITHIN_SECONDS = 2.0
# Messages younger than the retention, in a stream that has room: nobody but an operator takes those away.
_SURELY_KEPT_SECONDS = 0.9 * transport.RETENTION_SECONDS
_SURELY_ROOM = 0.8
_END = 2**63


class StoreWatch:
    """One stream as one publisher knows it."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._acked = Anchors()
        self._newer = Anchors()  # acknowledged since an ack contradicted what was acknowledged before
        self._created: object = None
        self._deleted: set[int] = set()
        self._one_at_a_time = asyncio.Lock()
        self.is_missing = False
        self.fill = 0.0  # of the bytes that the stream may hold

    @property
    def is_suspicious(self) -> bool:
        """Whether an ack gave a sequence that had been given already: the next look tells why."""
        return self._newer.last is not None

    def stored(self, seq: int, n: int, identity: str, received_ns: int, *, is_repeat: bool) -> None:
        """A message was acknowledged; a repeat's ack names the place of the first one."""
        known = self._newer if self._newer.last is not None else self._acked
        if known.last is not None and seq <= known.last.seq:
            if is_repeat or known is self._newer:
                return
            known = self._newer
        known.add(Anchor(seq, n, identity, received_ns, time.monotonic()))

    async def look(self, client: Client) -> Hole | None:
        """What is gone since the last look; raises NatsError or TimeoutError where the bus does not tell."""
        async with self._one_at_a_time:
            hole = await self._compare(client)
            if not self.is_missing:
                self._take_in_newer()
            return hole

    async def _compare(self, client: Client) -> Hole | None:
        last = self._acked.last
        js = client.jetstream(timeout=ANSWER_WITHIN_SECONDS)
        try:
            found = await js.stream_info(self._stream)
        except NotFoundError:
            self.is_missing, self._created = True, None
            return self._lose_from(0, why="deleted")
        self.is_missing = False
        self.fill = found.state.bytes / max(found.config.max_bytes or 0, 1)
        before, self._created = self._created, found.created
        if before is not None and before != found.created:
            self._deleted = set()
            return self._lose_from(0, why="recreated")
        if last is None:
            return None
        if found.state.first_seq <= last.seq and not await self._holds(js, last, found.state.last_seq):
            return self._lose_from(await self._first_gone(js, found.state), why="rolled back")
        return self._lose_front(found) or await self._lose_single(js, found.state)

    async def _holds(self, js: Any, anchor: Anchor, last_seq: int) -> bool:
        """Whether just this message stands there: after a loss the same sequences are given again."""
        if anchor.seq > last_seq:
            return False
        try:
            found = await js.get_msg(self._stream, anchor.seq)
        except NotFoundError:
            return anchor.seq in self._deleted
        return bool((found.headers or {}).get("Nats-Msg-Id") == anchor.identity)

    async def _first_gone(self, js: Any, state: Any) -> int:
        """The sequence after the newest message of ours that is left."""
        known = [one for one in self._acked.all() if one.seq >= state.first_seq]
        low, high = 0, len(known)
        while low < high:
            middle = (low + high) // 2
            if await self._holds(js, known[middle], state.last_seq):
                low = middle + 1
            else:
                high = middle
        return known[low - 1].seq + 1 if low else state.first_seq

    def _lose_from(self, seq: int, *, why: str) -> Hole | None:
        hole = self._acked.lost(seq, _END, why=why)
        self._acked.forget_after(seq - 1)
        return hole

    def _lose_front(self, found: Any) -> Hole | None:
        """What stands no longer at the stream's beginning: by age or for room, as it should, or by hand."""
        state = found.state
        gone = [one for one in self._acked.all() if one.seq < state.first_seq]
        if not gone:
            return None
        young = [one for one in gone if time.monotonic() - one.acked_at < _SURELY_KEPT_SECONDS]
        is_full = 0 < found.config.max_bytes * _SURELY_ROOM <= state.bytes
        hole = None
        if young and not is_full:
            hole = self._acked.lost(young[0].seq, state.first_seq - 1, why="purged")
        self._acked.forget_before(state.first_seq)
        return hole

    async def _lose_single(self, js: Any, state: Any) -> Hole | None:
        """Messages deleted one by one, or by subject."""
        if (state.num_deleted or 0) <= len(self._deleted):
            return None
        asked = js._api_request(
            f"{js._prefix}.STREAM.INFO.{self._stream}",
            b'{"deleted_details":true}',
            timeout=ANSWER_WITHIN_SECONDS,
        )
        deleted = set((await asked)["state"].get("deleted") or ())
        known = self._acked.all()
        new = [seq for seq in deleted - self._deleted if known and known[0].seq <= seq <= known[-1].seq]
        self._deleted = deleted
        return self._acked.lost(min(new), max(new), why="purged") if new else None

    def _take_in_newer(self) -> None:
        for anchor in self._newer.all():
            if self._acked.last is None or anchor.seq > self._acked.last.seq:
                self._acked.add(anchor)
        self._newer = Anchors()
