"""The venue's key as it is now: it may be exchanged while we run, and each attempt to connect takes the new one."""

from collections.abc import Callable

import structlog

from registry.refusal import Refused
from streaming.kalshi.rest import Credentials

log = structlog.get_logger()


class Keyring:
    """`read` gives the key from where the secret lies; what was read last counts while it cannot be read."""

    def __init__(
        self, credentials: Credentials | None, read: Callable[[], Credentials] | None = None
    ) -> None:
        self._known, self._read = credentials, read

    def current(self) -> Credentials | None:
        """The key for the next attempt."""
        if self._read is not None:
            try:
                found = self._read()
            except (Refused, OSError) as error:
                log.warning("the key cannot be read: the one of before is used", error=str(error)[:300])
            else:
                if self._known is not None and found.key_id != self._known.key_id:
                    log.info("another key is used from now on", key_id=found.key_id)
                self._known = found
        return self._known
