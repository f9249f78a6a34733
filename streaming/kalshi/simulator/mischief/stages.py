"""What each fault of frames does to one frame, and to those it holds back; pure."""

from collections.abc import Callable
from functools import partial
from zlib import crc32

from streaming.kalshi.simulator import wire
from streaming.kalshi.simulator.frames import encoded
from streaming.kalshi.simulator.mischief import edits
from streaming.kalshi.simulator.mischief.outgoing import TEXT, Out
from streaming.kalshi.simulator.mischief.running import Running

_SHARES = 10_000


class Stage:
    """One fault on one connection: a frame in, frames out."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.given = running.fault.given

    @property
    def waits_for_more(self) -> bool:
        """Whether it must see further frames, though the fault is spent."""
        return False

    def feed(self, out: Out) -> list[Out]:
        """What becomes of a frame that the fault may strike."""
        raise NotImplementedError

    def passes(self, out: Out) -> list[Out]:
        """What becomes of a frame that it does not strike."""
        return [out]

    def due(self, now_s: float) -> list[Out]:
        """What comes by itself."""
        return []

    def release(self) -> list[Out]:
        """The fault is over: what it held back."""
        return []


class Change(Stage):
    """Does something to each frame that it strikes."""

    def __init__(self, running: Running, change: Callable[[Out, Running], None]) -> None:
        super().__init__(running)
        self._change = change

    def feed(self, out: Out) -> list[Out]:
        """Strike, unless it has struck often enough."""
        if self.running.strike():
            self._change(out, self.running)
        return [out]


class Duplicate(Stage):
    """The same frame again."""

    def feed(self, out: Out) -> list[Out]:
        """One, and its doubles."""
        times = self.given["times"] if self.running.strike() else 0
        return [out, *(out.again() for _ in range(times))]


class Swap(Stage):
    """A frame waits until the next one of its sid has gone."""

    _held: Out | None = None

    @property
    def waits_for_more(self) -> bool:
        """One is held."""
        return self._held is not None

    def feed(self, out: Out) -> list[Out]:
        """Hold one, or let it follow the one that overtook it."""
        if self._held is None:
            if self.running.strike():
                self._held = out
                return []
            return [out]
        return self.passes(out)

    def passes(self, out: Out) -> list[Out]:
        """The next frame of the sid overtakes."""
        held = self._held
        if held is None or out.head.sid != held.head.sid:
            return [out]
        self._held = None
        return [out, held]


class LateSnapshots(Stage):
    """A snapshot waits until so many frames of its sid have gone."""

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        self._held: list[tuple[Out, int]] = []

    @property
    def waits_for_more(self) -> bool:
        """Some are held."""
        return bool(self._held)

    def feed(self, out: Out) -> list[Out]:
        """Hold a snapshot."""
        if not self.running.strike():
            return self.passes(out)
        self._held.append((out, self.given["frames"]))
        return []

    def passes(self, out: Out) -> list[Out]:
        """Others go on, and count."""
        self._held = [(held, left - (held.head.sid == out.head.sid)) for held, left in self._held]
        ready = [held for held, left in self._held if left <= 0]
        self._held = [(held, left) for held, left in self._held if left > 0]
        return [out, *ready]


class LateBurst(Stage):
    """Everything waits for the end."""

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        self._held: list[Out] = []

    def feed(self, out: Out) -> list[Out]:
        """Hold it."""
        self.running.strike()
        self._held.append(out)
        return []

    def release(self) -> list[Out]:
        """All at once."""
        held, self._held = self._held, []
        return held


class LoseAcks(Stage):
    """Answers that never come, but for the first few."""

    _passed = 0

    def feed(self, out: Out) -> list[Out]:
        """As if it had never been made."""
        if self._passed < self.given["skip"]:
            self._passed += 1
        elif self.running.strike():
            out.vanished = True
        return [out]


class ErrorsOnly(Stage):
    """Instead of data an error now and then."""

    _last_s = float("-inf")

    def feed(self, out: Out) -> list[Out]:
        """No data."""
        self.running.strike()
        out.handed = False
        out.recorded = out.head.seq is not None
        return [out]

    def due(self, now_s: float) -> list[Out]:
        """The next error."""
        if now_s - self._last_s < self.given["every"]:
            return []
        self._last_s = now_s
        return [Out(encoded({"type": "error", "msg": {"code": 17, "msg": "Internal error"}}) + b"\n")]


# --- one frame, changed -----------------------------------------------------------------------


def _lose(out: Out, running: Running) -> None:
    """It counts as sent where a number will show that it did not come."""
    out.handed = False
    out.recorded = out.head.seq is not None


def _silence(out: Out, running: Running) -> None:
    if running.fault.given["numbered"]:
        _lose(out, running)
    else:
        out.vanished = True


def _lose_share(out: Out, running: Running) -> None:
    if crc32(out.payload) % _SHARES < running.fault.given["share"] * _SHARES:
        out.handed = out.recorded = False


def _vanish(out: Out, running: Running) -> None:
    out.vanished = True


def _restart(out: Out, running: Running) -> None:
    out.restart = running.fault.given["to"]


def _jump(out: Out, running: Running) -> None:
    out.jump = running.fault.given["by"]


def _edit(out: Out, running: Running) -> None:
    edits.edited(out, running.fault.kind.name, running.fault.given)


def _pad(out: Out, running: Running) -> None:
    out.payload = edits.padded(out.payload, running.fault.given["bytes"])


def _binary(out: Out, running: Running) -> None:
    edits.as_binary(out)


def _invalid(out: Out, running: Running) -> None:
    out.payload = edits.invalid_utf8(out.payload)


def _malform(out: Out, running: Running) -> None:
    given = running.fault.given
    out.payload = edits.malformed(out.payload, given["how"], f"{given['seed']} {running.struck}")


def _empty(out: Out, running: Running) -> None:
    out.payload = b""


def _cut(out: Out, running: Running) -> None:
    out.wire = wire.data_frame(out.opcode, out.payload)[: running.fault.given["bytes"]]
    out.then = "reset"


def _endless(out: Out, running: Running) -> None:
    out.wire = wire.fragment(TEXT, b"x" * running.fault.given["chunk"])
    out.then = "endless"


def _bomb(out: Out, running: Running) -> None:
    out.wire = wire.compressed_zeros(running.fault.given["bytes"])


_CHANGES: dict[str, Callable[[Out, Running], None]] = {
    "skip_seq": _lose, "silence": _silence, "lose_tickers": _lose_share, "swallow_snapshots": _vanish,
    "jump_seq": _jump, "reset_seq": _restart, "pad_frame": _pad, "binary": _binary, "invalid_utf8": _invalid,
    "malformed": _malform, "empty_frame": _empty, "cut_frame": _cut, "endless_frame": _endless,
    "deflate_bomb": _bomb, **dict.fromkeys(edits.EDITS, _edit),
}  # fmt: skip
STAGES: dict[str, Callable[[Running], Stage]] = {
    "duplicate": Duplicate, "swap": Swap, "late_snapshots": LateSnapshots, "late_burst": LateBurst,
    "lose_acks": LoseAcks, "errors_only": ErrorsOnly,
    **{name: partial(Change, change=change) for name, change in _CHANGES.items()},
}  # fmt: skip
