"""Why a connection is given up."""


class ProtocolError(Exception):
    """The conversation cannot go on: drop the connection and open another; `cause` is the gap's.

    `stalled` is the channel that was fed nothing although the connection stands.
    """

    def __init__(self, text: str, *, cause: str = "connection_lost", stalled: str = "") -> None:
        self.cause, self.stalled = cause, stalled
        super().__init__(text)
