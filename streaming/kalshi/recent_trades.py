"""The ids of the trades that came of late, so that those which REST tells and the stream did not can be told apart."""

import re

MOST = 200_000
_ID = re.compile(rb'"trade_id"\s*:\s*"([^"]{1,200})"')


class RecentTrades:
    """The last ids, oldest forgotten first."""

    def __init__(self, most: int = MOST) -> None:
        self._ids: dict[str, None] = {}
        self._most = most

    def note(self, frame: bytes) -> None:
        """A trade's frame came."""
        found = _ID.search(frame)
        if found is None:
            return
        self._ids[found[1].decode(errors="replace")] = None
        if len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]

    def __contains__(self, trade_id: object) -> bool:
        return trade_id in self._ids
