"""One connection's frames between the conversation's outbox and the socket, bent by the faults that are on; pure."""

from collections.abc import Callable, Iterable

from streaming.kalshi.simulator.mischief.fault import Level
from streaming.kalshi.simulator.mischief.outgoing import Out, selects
from streaming.kalshi.simulator.mischief.running import Mischief, Running
from streaming.kalshi.simulator.mischief.stages import STAGES, Stage


class Line:
    """The faults of one connection, with what they hold back and how far its numbers are off."""

    def __init__(self, connection: int, mischief: Mischief, channel_of: Callable[[int | None], str]) -> None:
        self._connection, self._mischief, self._channel_of = connection, mischief, channel_of
        self._stages: dict[int, Stage] = {}
        self._shifts: dict[int, int] = {}
        # Frames may go to the socket as they are.
        self.is_straight = True

    def feed(self, frames: Iterable[bytes], now_s: float) -> list[Out]:
        """What is recorded and handed over instead of these frames, after what is due by itself."""
        told = self._due(now_s)
        for frame in frames:
            self._mischief.count_frame(now_s)
            told += self._bent(Out(frame))
        self.is_straight = not (self._stages or self._shifts)
        return [out for out in told if self._is_numbered(out)]

    def _due(self, now_s: float) -> list[Out]:
        told: list[Out] = []
        for running in self._mischief.at(Level.FRAME):
            if running.concerns(self._connection):
                self._stage(running)
        for number, stage in list(self._stages.items()):
            if self._mischief.is_on(number):
                told += stage.due(now_s)
            elif not stage.waits_for_more:
                told += stage.release()
                del self._stages[number]
        return told

    def _stage(self, running: Running) -> Stage:
        if running.number not in self._stages:
            self._stages[running.number] = STAGES[running.fault.kind.name](running)
        return self._stages[running.number]

    def _bent(self, out: Out) -> list[Out]:
        outs = [out]
        for running in self._mischief.at(Level.FRAME):
            if running.concerns(self._connection):
                self._stage(running)
        for stage in self._stages.values():
            outs = [one for each in outs for one in self._through(stage, each)]
        return outs

    def _through(self, stage: Stage, out: Out) -> list[Out]:
        if not out.handed or out.vanished:
            return [out]
        fault = stage.running.fault
        if selects(fault, out, self._channel_of(out.head.sid)):
            was_recorded = out.recorded
            told = stage.feed(out)
            stage.running.unrecorded += was_recorded and (out.vanished or not out.recorded)
            return told
        return stage.passes(out)

    def _is_numbered(self, out: Out) -> bool:
        """Write the number that the client is to see; False for a frame that leaves no trace."""
        sid, seq = out.head.sid, out.head.seq
        if sid is None or seq is None:
            return not out.vanished
        shift = self._shifts.get(sid, 0)
        if out.vanished:
            shift -= 1
        elif out.restart is not None:
            shift = out.restart - seq
        shift += out.jump
        self._keep(sid, shift)
        if shift and not out.vanished:
            out.renumber(seq + shift)
        return not out.vanished

    def _keep(self, sid: int, shift: int) -> None:
        if shift:
            self._shifts[sid] = shift
            self.is_straight = False
        else:
            self._shifts.pop(sid, None)
