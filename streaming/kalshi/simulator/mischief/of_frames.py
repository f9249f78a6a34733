"""The kinds of fault that bend frames on their way to a client; pure."""

from streaming.kalshi.simulator.mischief.fault import (
    Frames,
    Kind,
    Level,
    anything,
    flag,
    number,
    one_of,
    text,
    whole,
)

_FIELD_IN = flag("top", default=False)
MALFORMED = ("cut", "doubled", "comma", "quote", "garbage", "random")
FORMS = ("cents", "dollars", "both")


def _kind(
    name: str,
    says: str,
    codes: str,
    *parameters: object,
    count: int | None = None,
    strikes: Frames = Frames.DATA,
) -> Kind:
    return Kind(name, says, tuple(codes.split()), Level.FRAME, parameters, count, strikes)  # type: ignore[arg-type]


OF_FRAMES: tuple[Kind, ...] = (
    # --- lost ---------------------------------------------------------------------------------
    _kind("skip_seq", "frames are lost, their numbers with them", "A14", count=1, strikes=Frames.NUMBERED),
    _kind(
        "jump_seq", "numbers jump, though nothing is lost", "A14",
        whole("by", -(2**40), 2**40, 5), count=1, strikes=Frames.NUMBERED,
    ),
    _kind(
        "silence", "no data come, pings and answers do; without `numbered` the numbers stand still, too", "A41",
        flag("numbered", default=True),
    ),
    _kind(
        "lose_tickers", "ticker frames are dropped where no number shows it", "A46",
        number("share", 0, 1, 1), strikes=Frames.UNNUMBERED,
    ),
    _kind("swallow_snapshots", "snapshots never come", "A19", strikes=Frames.SNAPSHOTS),
    _kind("lose_acks", "commands are obeyed and not answered", "A32 A45", whole("skip", 0, 10_000, 0), count=1, strikes=Frames.ACKS),
    _kind("errors_only", "error frames come instead of data", "A3", number("every", 0.01, 60, 1)),
    # --- order --------------------------------------------------------------------------------
    _kind("duplicate", "frames come again", "A15", whole("times", 1, 100, 1), count=1, strikes=Frames.NUMBERED),
    _kind("swap", "a frame comes after the one behind it", "A16", count=1, strikes=Frames.NUMBERED),
    _kind("reset_seq", "the numbers of a sid begin anew", "A17", whole("to", 1, 2**53, 1), count=1, strikes=Frames.NUMBERED),
    _kind(
        "late_snapshots", "a snapshot comes behind changes of its book", "A18",
        whole("frames", 1, 10_000, 3), count=1, strikes=Frames.SNAPSHOTS,
    ),
    _kind("late_burst", "frames are held back while it lasts, then come all at once", "A38", strikes=Frames.ANY),
    # --- contents -----------------------------------------------------------------------------
    _kind("unknown_field", "frames carry a field that nobody knows", "A28", text("field", "new_field"), anything("value", "x"), _FIELD_IN),
    _kind("drop_field", "a field is missing; `a.b` is b inside of a", "A28 A30", text("field", "ts_ms"), _FIELD_IN),
    _kind("wrong_type", "a field has another type: number for text, text for number, [] for object", "A28", text("field", "ts_ms"), _FIELD_IN),
    _kind("set_field", "a field has this value", "A28 A29 A30", text("field"), anything("value"), _FIELD_IN),
    _kind("shift_times", "the venue's times of frames are wrong by so many seconds", "A30", number("seconds", -1e10, 1e10)),
    _kind("old_format", "frames are written as they once were (whole cents and contracts are rounded)", "A28", one_of("form", *FORMS, default="cents")),
    _kind("empty_snapshots", "snapshots show no levels", "A37", strikes=Frames.SNAPSHOTS),
    _kind("pad_frame", "a frame is padded to so many bytes", "A22 A23", whole("bytes", 300, 256 * 2**20, 2**20), count=1),
    _kind("binary", "frames come as binary ones", "A21", count=1),
    _kind("invalid_utf8", "text frames hold bytes that are no UTF-8", "A21", count=1),
    _kind("malformed", "frames are no JSON", "A20", one_of("how", *MALFORMED, default="cut"), whole("seed", 0, 2**53, 0), count=1),
    _kind("empty_frame", "empty frames come instead", "A25", count=1),
    # --- the wire -----------------------------------------------------------------------------
    _kind("cut_frame", "the connection is reset after so many bytes of a frame", "A5", whole("bytes", 0, 2**24, 20), count=1),
    _kind("endless_frame", "a frame in fragments that never ends", "A23", whole("chunk", 1, 2**24, 2**20), count=1),
    _kind("deflate_bomb", "a compressed frame of so many zeros", "A24", whole("bytes", 1, 2**30, 200 * 2**20), count=1),
)  # fmt: skip
