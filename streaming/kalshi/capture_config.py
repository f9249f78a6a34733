"""What capture needs of a connector's configuration."""

from typing import Protocol

from streaming.kalshi.rest import Credentials


class CaptureConfig(Protocol):
    """What capture needs of a connector's configuration."""

    @property
    def feed(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def credentials(self) -> Credentials | None: ...
    @property
    def subscribe(self) -> dict[str, bool]: ...
