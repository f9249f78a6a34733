"""Which of several connectors follows a market's book: a pure function of its ticker."""

import re
from dataclasses import dataclass
from zlib import crc32


@dataclass(frozen=True, slots=True)
class Shard:
    """Number `index` of `count` connectors, from 1; the first also takes what is sent for all markets."""

    index: int = 1
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it takes the all-market channels."""
        return self.index == 1

    def owns(self, ticker: str) -> bool:
        """Whether this connector follows the market."""
        return self.count == 1 or crc32(ticker.encode()) % self.count == self.index - 1

    def __str__(self) -> str:
        """`2/3`; nothing where there is one connector only."""
        return "" if self.count == 1 else f"{self.index}/{self.count}"


ALL = Shard()


def parse_shard(text: str) -> Shard:
    """`2/3` as a shard, nothing as the only one; raises ValueError with what would be right."""
    if not text:
        return ALL
    found = re.fullmatch(r"([0-9]{1,3})/([0-9]{1,3})", text)
    shard = Shard(int(found[1]), int(found[2])) if found else Shard(0, 0)
    if not 1 <= shard.index <= shard.count:
        raise ValueError(f"{text!r} is no shard: give i/n, as 2/3 for the second of three connectors")
    return shard
