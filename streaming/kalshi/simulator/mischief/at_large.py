"""The kinds of fault that everybody sees: REST, the clock, the rules, the markets; pure."""

from streaming.kalshi.simulator.mischief.fault import (
    Frames,
    Kind,
    Level,
    Parameter,
    number,
    one_of,
    text,
    whole,
)

_PATH = text("path", "")


def _kind(
    name: str, says: str, codes: str, level: Level, *parameters: Parameter, count: int | None = None
) -> Kind:
    return Kind(name, says, tuple(codes.split()), level, parameters, count, Frames.ANY)


AT_LARGE: tuple[Kind, ...] = (
    # --- REST; `path` is a beginning, like /markets -------------------------------------------
    _kind(
        "fail_rest", "requests are answered with this status (0: reset)", "A10 A11 A36", Level.REST,
        whole("status", 0, 599, 503), _PATH, number("retry_after", 0, 86_400, None), whole("bytes", 0, 2**24, 2000),
    ),
    _kind("slow_rest", "answers come late", "A36", Level.REST, number("seconds", 0, 3600, 5), _PATH),
    _kind("empty_rest", "lists are empty", "A34", Level.REST, _PATH),
    # --- the clock and the rules --------------------------------------------------------------
    _kind("wrong_clock", "the exchange's clock is off: signatures are refused by it, and Date shows it", "A13", Level.EXCHANGE, number("offset", -1e8, 1e8, 60)),
    _kind("change_key", "from now on only this key opens the door", "A9", Level.EXCHANGE, text("key_id"), text("public_key"), count=1),
    _kind("refuse_repeats", "a second subscribe to a channel is error 6, as before October 2025", "A32 A45", Level.EXCHANGE),
    _kind("flip_yes_price", "NO prices come on the YES scale wherever no client said otherwise", "A28", Level.EXCHANGE),
    _kind("first_sid", "sids of new connections count from here", "A44", Level.EXCHANGE, whole("sid", 1, 2**53, 1000)),
    _kind("limit_markets", "a subscription holds no more markets than these; more are error 26", "A31 A35", Level.EXCHANGE, whole("most", 0, 10**6, 1000)),
    _kind("pause_exchange", "trading stops; /exchange/status says so, or fails with this status", "A36", Level.EXCHANGE, whole("status", 200, 599, 200), number("resumes_in", 0, 10**7, 3600)),
    # --- markets (random ones) ----------------------------------------------------------------
    _kind("burst", "so many changes of books at once (orders that come and go)", "A38", Level.EXCHANGE, whole("frames", 1, 10**6, 10_000), count=1),
    _kind(
        "unknown_markets", "frames of markets that nobody announced, spread over `seconds`", "A27", Level.EXCHANGE,
        whole("markets", 1, 10**6, 100), number("seconds", 0, 3600, 1),
        one_of("on", "trade", "ticker", "market_lifecycle_v2", default="trade"), count=1,
    ),
    _kind(
        "roll_over", "so many markets are announced in one second, open `lead` later, and make place for the next as many every `period`", "A35 A37", Level.EXCHANGE,
        whole("markets", 1, 20_000, 500), number("lead", 0, 86_400, 2), number("period", 1, 86_400, 60), whole("times", 1, 10_000, 1), count=1,
    ),
    _kind("late_determination", "markets that close are determined so many seconds later", "A37", Level.EXCHANGE, number("seconds", 0, 10**6, 14_400)),
    _kind("deactivate", "markets are paused; activated again at its end", "A37", Level.EXCHANGE),
    _kind("move_close", "markets close so many seconds from now", "A37", Level.EXCHANGE, number("seconds", 0, 10**7, 5), count=1),
)  # fmt: skip
