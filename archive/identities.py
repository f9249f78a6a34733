"""Sets of event identities (session, n, k), small enough to hold a day: one bit for each n, for each session and k. Pure."""

from collections.abc import Iterator

import msgspec

MAX_N = 2**36  # 8 GiB of bits: more is no session of ours


class IdentitySet:
    """Which events there are. A session's n are dense, so bits beat any set of numbers."""

    def __init__(self) -> None:
        self._bits: dict[tuple[str, int], bytearray] = {}

    def add(self, session: str, n: int, k: int) -> None:
        """Take one identity; repeating it changes nothing."""
        bits = self._bits.get((session, k))
        if bits is None:
            bits = self._bits[session, k] = bytearray()
        at = n >> 3
        if at >= len(bits):
            if n >= MAX_N:
                raise ValueError(f"{session}.{n}.{k} is no identity of ours")
            bits.extend(bytes(max(at + 1 - len(bits), 4096)))
        bits[at] |= 1 << (n & 7)

    def __len__(self) -> int:
        return sum(int.from_bytes(bits, "little").bit_count() for bits in self._bits.values())

    def __contains__(self, identity: tuple[str, int, int]) -> bool:
        session, n, k = identity
        bits = self._bits.get((session, k), b"")
        return n >> 3 < len(bits) and bool(bits[n >> 3] & 1 << (n & 7))

    def merge(self, other: "IdentitySet") -> None:
        """Take all of another set."""
        for key, bits in other._bits.items():
            both = int.from_bytes(self._bits.get(key, b""), "little") | int.from_bytes(bits, "little")
            self._bits[key] = bytearray(both.to_bytes((both.bit_length() + 7) // 8, "little"))

    def without(self, other: "IdentitySet") -> "IdentitySet":
        """What is here and not there."""
        rest = IdentitySet()
        for key, bits in self._bits.items():
            mine, theirs = int.from_bytes(bits, "little"), int.from_bytes(other._bits.get(key, b""), "little")
            if left := mine & ~theirs:
                rest._bits[key] = bytearray(left.to_bytes((left.bit_length() + 7) // 8, "little"))
        return rest

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        """The identities by session, k and n."""
        for (session, k), bits in sorted(self._bits.items()):
            for at, byte in enumerate(bits):
                for bit in range(8) if byte else ():
                    if byte & 1 << bit:
                        yield session, at * 8 + bit, k

    def up_to(self, last_n: dict[str, int]) -> "IdentitySet":
        """Those whose n is not beyond their session's."""
        found = IdentitySet()
        for (session, k), bits in self._bits.items():
            mask = (1 << (last_n.get(session, -1) + 1)) - 1
            if kept := int.from_bytes(bits, "little") & mask:
                found._bits[session, k] = bytearray(kept.to_bytes((kept.bit_length() + 7) // 8, "little"))
        return found

    def last_n(self) -> dict[str, int]:
        """The greatest n of each session."""
        found: dict[str, int] = {}
        for (session, _), bits in self._bits.items():
            found[session] = max(found.get(session, 0), int.from_bytes(bits, "little").bit_length() - 1)
        return found

    def encode(self) -> bytes:
        """The set as bytes, the same for equal sets."""
        packed = [
            (session, k, bytes(bits).rstrip(b"\0")) for (session, k), bits in sorted(self._bits.items())
        ]
        return msgspec.msgpack.encode([one for one in packed if one[2]])


def decode(data: bytes) -> IdentitySet:
    """What `encode` was called on."""
    found = IdentitySet()
    for session, k, bits in msgspec.msgpack.decode(data, type=list[tuple[str, int, bytes]]):
        found._bits[session, k] = bytearray(bits)
    return found
