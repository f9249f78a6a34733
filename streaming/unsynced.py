"""Copies of the records that were handed to the disk and are not known to be on it. Pure.

After a failed fsync the kernel may have forgotten what it could not write, and a second fsync of the same file then
reports success: only a copy of our own can be written again.
"""

MOST_BYTES = 64 * 1024 * 1024


class Unsynced:
    """Whole records in the order of n; a sync `begin`s, and is `done` or `failed`."""

    def __init__(self, *, synced_n: int = 0, most_bytes: int = MOST_BYTES) -> None:
        self.synced_n = synced_n
        self._most_bytes = most_bytes
        self._last_n = self._before_last_n = self._syncing_n = self._forgotten_n = synced_n
        self._fresh: list[bytes] = []
        self._syncing: list[bytes] = []
        self._bytes = self._syncing_bytes = 0
        self._fresh_since = self._syncing_since = 0.0

    def add(self, data: bytes, *, last_n: int, since: float) -> None:
        """Records up to `last_n`, the first of them received at `since` (monotonic seconds)."""
        if self._last_n == max(self._syncing_n, self.synced_n):
            self._fresh_since = since
        self._before_last_n, self._last_n = self._last_n, last_n
        self._fresh.append(data)
        self._bytes += len(data)
        if self._bytes > self._most_bytes:  # the disk is far behind: it must not fail now as well
            self._forgotten_n = last_n
            self._fresh, self._syncing = [], []
            self._bytes = self._syncing_bytes = 0

    @property
    def is_any(self) -> bool:
        """Whether something may not be on the disk."""
        return self._last_n > self.synced_n

    def has_any(self, *, but_last: bool) -> bool:
        """Whether a sync could make more of it durable; `but_last`: the last block cannot be, yet."""
        return (self._before_last_n if but_last else self._last_n) > self.synced_n

    @property
    def is_whole(self) -> bool:
        """Whether a copy of everything is here."""
        return self._forgotten_n <= self.synced_n

    @property
    def kept_bytes(self) -> int:
        """Of all copies."""
        return self._bytes

    @property
    def data(self) -> bytes:
        """Everything after `synced_n`."""
        return b"".join([*self._syncing, *self._fresh])

    def since(self) -> float | None:
        """When the oldest was received (monotonic seconds); None when there is none."""
        if self._syncing_n > self.synced_n:
            return self._syncing_since
        return self._fresh_since if self.is_any else None

    def begin(self, *, but_last: bool = False) -> None:
        """All that is here is on its way to the disk; `but_last`: of the last block the kernel lacks the rest."""
        self._syncing_since = self._fresh_since
        self._syncing, self._fresh = self._fresh, []
        self._syncing_n, self._syncing_bytes = self._last_n, self._bytes
        if but_last:
            self._syncing, self._fresh = self._syncing[:-1], self._syncing[-1:]
            self._syncing_n = self._before_last_n
            self._syncing_bytes -= sum(map(len, self._fresh))

    def done(self) -> None:
        """What `begin` took is on the disk."""
        self.synced_n = self._syncing_n
        self._bytes -= self._syncing_bytes
        self._syncing, self._syncing_bytes = [], 0

    def failed(self) -> None:
        """It may be, or not."""
        self._fresh = [*self._syncing, *self._fresh]
        self._fresh_since = self._syncing_since
        self._syncing, self._syncing_bytes, self._syncing_n = [], 0, self.synced_n
