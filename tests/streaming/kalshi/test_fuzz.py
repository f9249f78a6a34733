"""Spoiled frames: the venue's own, bent at random. None of them may crash or hold up what reads them."""

import random
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest

from streaming import wire
from streaming.kalshi.normalizer import Normalizer
from streaming.kalshi.protocol_error import ProtocolError
from streaming.kalshi.session import KalshiSession
from streaming.wire import WireError
from tests.streaming.kalshi.frames import START_NS, every_recording, frame, lifecycle, record, recorded

FRAMES, SOAKED = 3_000, 300_000
A_RECORDING = 400  # frames that are bent of each
A_CONVERSATION = 500  # frames; then a new one begins
VALUES = (
    b"null", b"true", b"[]", b"{}", b'""', b"-1", b"0", b"1", b"1.5", b"1e999", b"-0", b"NaN", b"9" * 25, b"9" * 5000,
    b'"\\ud800"', b'"\xff"', b'"0.5"', b'"-0.5"', b'"1e5"', b"[" * 3000, b'{"a":' * 3000, b'"' + b"x" * 300 + b'"', b"\x00",
)  # fmt: skip
ANSWERS = (
    frame("subscribed", sid=None, id=4, msg={"channel": "orderbook_delta", "sid": 1}),
    frame("ok", sid=1, seq=3, id=5, msg={"market_tickers": ["A", "B"]}),
    frame("ok", sid=None, id=2, msg=[{"channel": "trade", "sid": 2}]),
    frame("error", sid=None, id=3, msg={"code": 6, "msg": "Already subscribed"}),
    frame("error", sid=1, seq=9, msg={"code": 25, "msg": "overflow"}),
    lifecycle("A", "created", 1, open_ts=1_786_401_938, close_ts=1_786_402_938),
    lifecycle("A", "determined", 2, result="yes", determination_ts=1_786_402_938),
)


def bent(one: bytes, other: bytes, chance: random.Random) -> bytes:
    """A frame, spoiled in a few places; with a piece of another one now and then."""
    spoiled = bytearray(one)
    for _ in range(chance.randint(1, 3)):
        at, until = sorted(chance.randrange(len(spoiled) + 1) for _ in range(2))
        match chance.randrange(7):
            case 0:
                spoiled[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del spoiled[at : min(until, at + 40)]
            case 2:
                spoiled[at:at] = spoiled[at:until]
            case 3:
                spoiled[at:] = other[chance.randrange(len(other) + 1) :]
            case 4:
                del spoiled[at:]
            case _:  # half of all: a value for another, which leaves it JSON
                a_value(spoiled, chance)
    return bytes(spoiled)


def a_value(spoiled: bytearray, chance: random.Random) -> None:
    colons = [at for at, byte in enumerate(spoiled) if byte == ord(":")]
    if colons:
        at = chance.choice(colons) + 1
        ends = [end for end in (spoiled.find(b",", at), spoiled.find(b"}", at)) if end >= 0]
        spoiled[at : min(ends, default=len(spoiled))] = chance.choice(VALUES)


def frames_of(folder: Path, chance: random.Random) -> Iterator[bytes]:
    """Frames without end: some of each recording, and answers to commands in between."""
    paths = every_recording(folder)
    while True:
        for path in chance.sample(paths, len(paths)):
            found = [*islice(recorded(folder / path), A_RECORDING * 3)]
            yield from chance.sample(found, min(A_RECORDING, len(found)))
            yield from ANSWERS


def read_all(folder: Path, count: int, chance: random.Random) -> int:
    """How many bent frames were read; whatever is raised but what is meant to be raised gets out."""
    normalizer, session, before, read = Normalizer("s"), talking(), b"{}", 0
    for n, one in enumerate(islice(frames_of(folder, chance), count), 1):
        spoiled = bent(one, before, chance)
        before = one
        if n % A_CONVERSATION == 0:
            normalizer, session = Normalizer("s"), talking()
        try:
            session.receive(spoiled, n=n, received_ns=START_NS + n)
            session.on_time(START_NS + n)
        except ProtocolError:
            session = talking()
        session.commands_to_send()
        for event in normalizer.apply(record(spoiled, n)):
            with suppress(WireError):  # counted by the publisher; raw has it
                wire.encode(event)
        read += 1
    return read


def talking() -> KalshiSession:
    """A conversation that has asked for everything."""
    session = KalshiSession()
    session.start(now_ns=START_NS)
    session.want({"A", "B"}, now_ns=START_NS)
    return session


@pytest.mark.timeout(60)
def test_bent_frames_of_every_recording_crash_nothing(recordings: Path, chance: random.Random) -> None:
    assert read_all(recordings, FRAMES, chance) == FRAMES


@pytest.mark.timeout(900)
@pytest.mark.soak(minutes=2)
def test_many_more_bent_frames_crash_nothing(recordings: Path, chance: random.Random) -> None:
    assert read_all(recordings, SOAKED, chance) == SOAKED
