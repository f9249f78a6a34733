"""The kinds of fault that strike connections, their handshakes and their commands; pure."""

from streaming.kalshi.simulator.mischief.fault import (
    Frames,
    Kind,
    Level,
    Parameter,
    bytes_in_base64,
    flag,
    number,
    one_of,
    text,
    whole,
)

REFUSALS = ("bad_signature", "unknown_key", "missing", "expired")
COMMANDS = ("subscribe", "unsubscribe", "update_subscription", "list_subscriptions", "any")
_COMMAND = one_of("cmd", *COMMANDS, default="any")
_ENDS = Parameter("code", "10 or 25", lambda value: value in (10, 25), 25)
_SKIP = whole("skip", 0, 10_000, 0)


def _kind(
    name: str, says: str, codes: str, level: Level, *parameters: Parameter, count: int | None = None
) -> Kind:
    return Kind(name, says, tuple(codes.split()), level, parameters, count, Frames.ANY)


OF_CONNECTIONS: tuple[Kind, ...] = (
    # --- a connection as a whole --------------------------------------------------------------
    _kind("half_open", "nothing more is sent, read or answered, and no end is told", "A1 A2", Level.CONNECTION),
    _kind("stop_reading", "nothing of the client's is read any more: its send buffer fills", "A2 A39", Level.CONNECTION),
    _kind("drip", "so many bytes a second, and no more", "A39", Level.CONNECTION, number("bytes_per_second", 0.1, 1e9, 1)),
    _kind(
        "close", "closed with this code, `open_for` seconds after its beginning (1006: without a word)", "A4 A7", Level.CONNECTION,
        whole("code", 0, 65_535, 1011), text("reason", ""), number("open_for", 0, 86_400, 0),
    ),
    _kind("reset", "reset at once", "A5", Level.CONNECTION, number("open_for", 0, 86_400, 0)),
    _kind("end_subscription", "subscriptions end with an error", "A33 A43", Level.CONNECTION, _ENDS),
    _kind(
        "inject", "this text, or these bytes, as a frame", "A20 A21 A25", Level.CONNECTION,
        text("text", ""), bytes_in_base64("b64", ""), flag("binary", default=False), whole("times", 1, 100_000, 1),
    ),
    _kind(
        "unknown_type", "a numbered frame of a type that nobody knows", "A26", Level.CONNECTION,
        text("type", "market_mood"), whole("times", 1, 100_000, 1),
    ),
    # --- commands -----------------------------------------------------------------------------
    _kind("slow_acks", "commands are obeyed late", "A32", Level.COMMAND, number("seconds", 0, 3600, 5), _COMMAND),
    _kind("reorder_acks", "commands that come close together are obeyed in another order", "A45", Level.COMMAND, number("within", 0, 60, 0.2), whole("seed", 0, 2**53, 0)),
    _kind("lose_commands", "commands are neither obeyed nor answered, from the one behind `skip` on", "A32 A45", Level.COMMAND, _COMMAND, _SKIP),
    _kind("refuse_commands", "commands are answered with this error", "A10 A31 A32", Level.COMMAND, whole("code", 1, 99, 18), _COMMAND, _SKIP),
    _kind(
        "refuse_tickers", "of a subscription these tickers (or this share) are left out; code 0 says nothing of it", "A31", Level.COMMAND,
        number("share", 0, 1, 0), whole("code", 0, 99, 26),
    ),
    # --- handshakes ---------------------------------------------------------------------------
    _kind("refuse_connection", "nobody listens, for as long as it lasts", "A6 A12", Level.DOOR),
    _kind("reset_connection", "connections are accepted and reset before a word", "A6", Level.DOOR),
    _kind(
        "refuse_handshake", "the upgrade is answered with this status; 401 by its kind, 5xx with HTML of `bytes`", "A6 A8 A10 A11 A40", Level.DOOR,
        whole("status", 300, 599, 503), one_of("why", *REFUSALS, default="bad_signature"), number("retry_after", 0, 86_400, None),
        whole("bytes", 0, 2**24, 2000), text("location", "https://elsewhere.example/trade-api/ws/v2"),
    ),
)  # fmt: skip
