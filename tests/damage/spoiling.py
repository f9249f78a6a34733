"""What can happen to a file: bits flip, its end goes, something is added, pieces change places or become zeros."""

import random

SMALL = 16  # bytes: a sector's worth is found as easily as a few


def spoilt(data: bytes, other: bytes, chance: random.Random) -> tuple[str, bytes]:
    """(what was done, other bytes than `data`); `other` is an object of the same kind."""
    while True:
        name = chance.choice(list(_WAYS))
        found = _WAYS[name](data, other, chance)
        if found != data:
            return name, found


def _flip(data: bytes, other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _flips(data: bytes, other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(2, 40)):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _cut_a_little(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: -chance.randint(1, min(SMALL, len(data)))]


def _longer(data: bytes, other: bytes, chance: random.Random) -> bytes:
    added = chance.choice([b"\n", b" ", b"\0", data[-SMALL:], data, chance.randbytes(SMALL)])
    return data + added


def _swapped(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Two stretches change places."""
    length = chance.randint(1, max(1, len(data) // 4))
    one = chance.randint(0, max(0, len(data) // 2 - length))
    two = chance.randint(len(data) // 2, max(len(data) // 2, len(data) - length))
    first, second = data[one : one + length], data[two : two + length]
    return data[:one] + second + data[one + length : two] + first + data[two + length :]


def _zeros(data: bytes, other: bytes, chance: random.Random) -> bytes:
    start, length = chance.randrange(len(data)), chance.randint(1, 512)
    return data[:start] + bytes(len(data[start : start + length])) + data[start + length :]


def _another(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return other


def _digit(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """One digit becomes another: the text stays a sound text."""
    digits = [at for at, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if not digits:
        return data
    at = chance.choice(digits)
    return data[:at] + str(chance.randrange(10)).encode() + data[at + 1 :]


_WAYS = {
    "flip": _flip,
    "flips": _flips,
    "cut": _cut,
    "cut a little": _cut_a_little,
    "longer": _longer,
    "swapped": _swapped,
    "zeros": _zeros,
    "another": _another,
    "digit": _digit,
}
