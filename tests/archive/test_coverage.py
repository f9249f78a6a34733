from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from archive import coverage
from archive.coverage import Kind, Tile, day_span, evidence, missed, of_markets, tiles
from archive.session_marks import CHANNELS, SILENT_NS, Run, SessionMark
from registry.calendar import DAY_NS, midnight_ns
from streaming import marks

ON = date(2025, 12, 14)
MIDNIGHT = midnight_ns(ON)
SECOND = 10**9
HOUR = 3_600 * SECOND
LATER = MIDNIGHT + 3 * DAY_NS


class Told:
    """A session's marks, at seconds of the day."""

    def __init__(self, session: str = "a") -> None:
        self.session, self.n, self.at = session, 0, 0
        self.marks: list[SessionMark] = []
        self.began = 0

    def add(self, at: float, mark: marks.Mark) -> int:
        self.n += 1
        self.at = MIDNIGHT + round(at * SECOND)
        self.began = self.began or self.at
        self.marks.append(SessionMark(self.session, self.n, self.at, mark))
        return self.n

    def ready(self, at: float, books: int = 10) -> "Told":
        self.add(at, marks.ConnectionReady(connection=1, tickers=books))
        return self

    def lose(
        self, at: float, cause: str = "connection_lost", to: float | None = None, **facts: object
    ) -> "Told":
        from_ns = MIDNIGHT + round(at * SECOND)
        gap = marks.GapOpen(cause=cause, connection=1, from_ns=from_ns, after_n=self.n, **facts)  # type: ignore[arg-type]
        number = self.add(at, gap)
        if to is not None:
            self.add(to, marks.GapClose(gap=number, to_ns=MIDNIGHT + round(to * SECOND)))
        return self

    def stop(self, at: float) -> "Told":
        self.add(at, marks.ConnectionClose(connection=1, code=1000, reason=""))
        self.lose(at + 1, "planned_teardown", planned=True, fault="ours")
        self.add(at + 1, marks.SessionEnd(reason="stopped"))
        return self

    @property
    def run(self) -> Run:
        return Run(self.session, 1, self.n, self.began, self.at)


def seen(*told: Told, now_ns: int = LATER, since_ns: int | None = None) -> coverage.Evidence:
    known = [at for one in told for at in one.marks]
    return evidence(known, [one.run for one in told], now_ns=now_ns, since_ns=since_ns or MIDNIGHT - DAY_NS)


def shown(found: list[Tile]) -> list[tuple[str, float, float]]:
    return [
        (str(one.kind), (one.start_ns - MIDNIGHT) / SECOND, (one.end_ns - MIDNIGHT) / SECOND) for one in found
    ]


def day(told: coverage.Evidence, channel: str = "trade") -> list[tuple[str, float, float]]:
    return shown(tiles(told, ON, channel))


def test_a_session_that_runs_all_day_is_one_tile() -> None:
    told = Told().ready(-100).stop(90_000)

    assert day(seen(told)) == [("captured", 0, 86_400)]


def test_a_lost_connection_is_a_gap_until_it_closes() -> None:
    told = Told().ready(-100).lose(1_000, to=1_010).stop(90_000)

    assert day(seen(told)) == [("captured", 0, 1_000), ("gap", 1_000, 1_010), ("captured", 1_010, 86_400)]


def test_between_sessions_the_planned_stop_is_the_gap() -> None:
    first, second = Told("a").ready(-100).stop(40_000), Told("b").ready(40_600).stop(90_000)

    assert day(seen(first, second)) == [
        ("captured", 0, 40_000),
        ("gap", 40_000, 40_600),
        ("captured", 40_600, 86_400),
    ]


def test_sessions_that_overlap_leave_no_gap_between_them() -> None:
    first, second = Told("a").ready(-100).stop(40_600), Told("b").ready(40_000).stop(90_000)

    assert day(seen(first, second)) == [("captured", 0, 86_400)]
    assert missed(seen(first, second), ON) == []


def test_what_lies_before_the_very_first_session_is_not_started() -> None:
    told = Told().ready(3_600).stop(90_000)

    assert day(seen(told, since_ns=told.began)) == [("not_started", 0, 3_600), ("captured", 3_600, 86_400)]
    assert day(seen(since_ns=LATER)) == [("not_started", 0, 86_400)]


def test_what_nothing_explains_is_unexplained() -> None:
    told = Told().ready(3_600).stop(90_000)

    assert day(seen(told))[0] == ("unexplained", 0, 3_600)


def test_records_that_are_missing_from_the_middle_are_unexplained() -> None:
    told = Told().ready(-100).stop(90_000)
    parts = [
        Run("a", 1, 1, MIDNIGHT - 100 * SECOND, MIDNIGHT + HOUR),
        Run("a", 50, 60, MIDNIGHT + 2 * HOUR, MIDNIGHT + 25 * HOUR),
    ]
    known = evidence(told.marks, parts, now_ns=LATER, since_ns=MIDNIGHT - DAY_NS)

    assert day(known) == [("captured", 0, 3_600), ("unexplained", 3_600, 7_200), ("captured", 7_200, 86_400)]


def test_a_gap_of_one_subscription_concerns_its_channel_only() -> None:
    told = Told().ready(-100).lose(500, "sequence_gap", to=510, sid=3, channel="trade").stop(90_000)

    assert len(day(seen(told), "trade")) == 3
    assert day(seen(told), "orderbook") == [("captured", 0, 86_400)]


def test_a_gap_of_an_unknown_subscription_concerns_every_channel() -> None:
    told = Told().ready(-100).lose(500, "sequence_gap", to=510, sid=3).stop(90_000)

    assert all(len(day(seen(told), channel)) == 3 for channel in CHANNELS)


def test_a_gap_of_single_markets_lowers_their_coverage_and_not_the_tiling() -> None:
    told = (
        Told().ready(-100, books=4).lose(500, "sequence_gap", to=510, sid=1, tickers=["A", "B"]).stop(90_000)
    )
    known = seen(told)

    assert day(known, "orderbook") == [("captured", 0, 86_400)]
    assert [(one.markets, one.share, one.end_ns - one.start_ns) for one in of_markets(known, ON)] == [
        (2, (2, 4), 10 * SECOND)
    ]
    assert len(missed(known, ON)) == 1


def test_losses_of_markets_at_once_count_each_market_once() -> None:
    told = Told().ready(-100, books=4)
    told.lose(500, "sequence_gap", to=510, tickers=["A", "B"])
    told.marks[-1] = told.marks[-1]._replace(mark=marks.GapClose(told.n - 1, MIDNIGHT + 520 * SECOND))
    told.lose(511, "subscription_incomplete", to=515, tickers=["B", "C"])

    found = of_markets(seen(told.stop(90_000)), ON)

    assert [one.markets for one in found] == [2, 3, 2]
    lost = sum(Fraction(*one.share) * (one.end_ns - one.start_ns) for one in found)
    assert lost == 20 * SECOND * Fraction(2, 4) + 4 * SECOND * Fraction(1, 4)


def test_a_session_that_fell_silent_is_a_crash_until_the_next_one_is_ready() -> None:
    dead, after = Told("a").ready(-100), Told("b").ready(50_000).stop(90_000)
    dead.add(40_000, marks.GapClose(gap=99, to_ns=0))

    assert day(seen(dead, after)) == [
        ("captured", 0, 40_000),
        ("gap", 40_000, 50_000),
        ("captured", 50_000, 86_400),
    ]
    [loss] = missed(seen(dead, after), ON)
    assert (loss.mark.cause, loss.number, loss.mark.detail) == (
        "process_crash",
        dead.n + 1,
        {"assumed": True},
    )


def test_today_ends_now_and_what_is_not_committed_yet_is_pending() -> None:
    told = Told().ready(-100)
    told.add(40_000, marks.GapClose(gap=99, to_ns=0))

    assert day(seen(told, now_ns=told.at + 30 * SECOND)) == [
        ("captured", 0, 40_000),
        ("pending", 40_000, 40_030),
    ]
    assert day(seen(told, now_ns=told.at + SILENT_NS)) == [("captured", 0, 40_000), ("gap", 40_000, 40_120)]


def test_an_unplanned_gap_counts_before_a_planned_one() -> None:
    first, crashed = Told("a").ready(-100).stop(1_000), Told("b")
    crashed.add(1_600, marks.ConnectionOpen(connection=1))
    crashed.lose(1_700, "process_crash")
    crashed.add(1_700, marks.SessionEnd(reason="process_crash"))
    after = Told("c").ready(2_000).stop(90_000)

    found = tiles(seen(first, crashed, after), ON, "trade")

    assert shown(found)[1:3] == [("gap", 1_000, 1_700), ("gap", 1_700, 2_000)]
    assert [one.loss.mark.planned for one in found if one.loss] == [True, False]


def test_the_moment_between_a_gaps_end_and_the_mark_of_readiness_is_captured() -> None:
    told = Told().ready(-100)
    number = told.n + 1
    told.lose(100)
    told.add(100.5, marks.ConnectionClose(connection=1, code=1006, reason=""))
    told.ready(110.002)
    told.add(110.003, marks.GapClose(gap=number, to_ns=MIDNIGHT + 110 * SECOND))

    assert day(seen(told.stop(90_000))) == [
        ("captured", 0, 100),
        ("gap", 100, 110),
        ("captured", 110, 86_400),
    ]


def test_a_day_that_has_not_begun_has_no_tiles() -> None:
    assert day(seen(now_ns=MIDNIGHT - SECOND)) == []


TICKERS = st.lists(st.sampled_from("AB"), max_size=2)
TIMES = st.integers(MIDNIGHT - DAY_NS, MIDNIGHT + 2 * DAY_NS)
MARKS = st.one_of(
    st.builds(marks.ConnectionOpen, connection=st.just(1)),
    st.builds(marks.ConnectionReady, connection=st.just(1), tickers=st.integers(0, 3)),
    st.builds(marks.ConnectionClose, connection=st.just(1), code=st.just(1006), reason=st.just("")),
    st.builds(
        marks.GapOpen,
        cause=st.sampled_from(["connection_lost", "planned_teardown", "process_crash", "stream_hole"]),
        connection=st.just(1),
        from_ns=TIMES,
        after_n=st.just(0),
        sid=st.integers(0, 1),
        channel=st.sampled_from(["", "trade"]),
        tickers=TICKERS,
        planned=st.booleans(),
    ),
    st.builds(marks.GapClose, gap=st.integers(1, 12), to_ns=TIMES),
    st.builds(marks.SessionEnd, reason=st.just("stopped")),
)
SESSION = st.lists(st.tuples(TIMES, MARKS), max_size=12)


@st.composite
def stories(draw: st.DrawFn) -> coverage.Evidence:
    """Sessions with marks of any kind at any time, some of their records missing."""
    known, parts = [], []
    for name in "abc"[: draw(st.integers(0, 3))]:
        told = sorted(draw(SESSION), key=lambda one: one[0])
        known += [SessionMark(name, n, at, mark) for n, (at, mark) in enumerate(told, start=1)]
        first = draw(st.integers(1, 4))
        for n, (at, _) in enumerate(told, start=1):
            if n >= first and draw(st.integers(0, 9)):
                parts.append(Run(name, n, n, at, at))
    return evidence(known, parts, now_ns=draw(TIMES), since_ns=draw(st.none() | TIMES))


@settings(max_examples=150, deadline=None)
@given(stories())
def test_whatever_the_marks_say_the_tiles_fill_the_day_exactly(told: coverage.Evidence) -> None:
    start, end = day_span(ON, told.now_ns)
    for channel in CHANNELS:
        found = tiles(told, ON, channel)
        assert sum(one.end_ns - one.start_ns for one in found) == end - start
        assert all(one.start_ns < one.end_ns for one in found)
        assert all(one.end_ns == other.start_ns for one, other in pairwise(found))
        assert not found or (found[0].start_ns, found[-1].end_ns) == (start, end)
        assert all((one.loss is not None) == (one.kind == Kind.GAP) for one in found)


@settings(max_examples=80, deadline=None)
@given(stories())
def test_losses_of_markets_are_disjoint_and_never_more_than_all(told: coverage.Evidence) -> None:
    found = of_markets(told, ON)

    assert all(one.end_ns <= other.start_ns for one, other in pairwise(found))
    assert all(0 < one.share[0] <= one.share[1] for one in found)


# -- several lines -----------------------------------------------------------------------------------


class Lines(Told):
    """A session with a connection for trades and two for books, all ready at -100 s."""

    CARRIES = ("trade", "orderbook", "orderbook")

    def __init__(self, session: str = "a") -> None:
        super().__init__(session)
        for line, channel in enumerate(self.CARRIES):
            self.add(-100, marks.ConnectionOpen(line + 1, line, [channel]))
            self.add(-100, marks.ConnectionReady(connection=line + 1, tickers=10 if line else 0))

    def lose_line(self, line: int, at: float, to: float, tickers: Sequence[str] = ()) -> "Lines":
        self.add(at, marks.ConnectionClose(line + 1, 1006, ""))
        from_ns = MIDNIGHT + round(at * SECOND)
        gap = marks.GapOpen(
            "connection_lost", line + 1, from_ns, self.n, tickers=list(tickers), channels=[self.CARRIES[line]]
        )
        number = self.add(at, gap)
        self.add(to, marks.ConnectionOpen(line + 11, line, [self.CARRIES[line]]))
        self.add(to, marks.ConnectionReady(connection=line + 11, tickers=10))
        self.add(to, marks.GapClose(gap=number, to_ns=MIDNIGHT + round(to * SECOND)))
        return self


def test_a_lost_line_is_a_gap_of_what_it_carried() -> None:
    told = Lines().lose_line(0, 1_000, 1_010).stop(90_000)

    assert day(seen(told), "trade") == [
        ("captured", 0, 1_000),
        ("gap", 1_000, 1_010),
        ("captured", 1_010, 86_400),
    ]
    assert day(seen(told), "orderbook") == [("captured", 0, 86_400)]


def test_a_lost_line_of_several_with_books_lowers_the_coverage_of_its_markets_only() -> None:
    told = Lines().lose_line(1, 1_000, 1_010, ["A", "B"]).stop(90_000)

    assert day(seen(told), "orderbook") == [("captured", 0, 86_400)]
    [loss] = of_markets(seen(told), ON)
    assert (loss.markets, loss.share) == (2, (2, 20))


def test_a_planned_stop_begins_where_the_first_of_its_lines_ended() -> None:
    told = Lines()
    told.add(40_000, marks.ConnectionClose(1, 1000, ""))
    told.add(40_001, marks.ConnectionClose(2, 1000, ""))
    told.add(40_001, marks.ConnectionClose(3, 1000, ""))
    told.lose(40_002, "planned_teardown", planned=True).add(40_002, marks.SessionEnd("stopped"))

    assert day(seen(told), "trade") == [("captured", 0, 40_000), ("gap", 40_000, 86_400)]
    assert day(seen(told), "orderbook") == [("captured", 0, 40_001), ("gap", 40_001, 86_400)]


# -- several connectors ------------------------------------------------------------------------------


def of_shard(index: int, session: str, *, at: float = -100) -> Told:
    """A session of one of two connectors, ready; the first carries trades, both carry books."""
    told = Told(session)
    told.add(at, marks.SessionStart("f", "demo", 1, "h", "v2", "wss://x", "0", {}, shard=f"{index}/2"))
    for line, channel in enumerate(["trade", "orderbook"] if index == 1 else ["lifecycle", "orderbook"]):
        told.add(at, marks.ConnectionOpen(line + 1, line, [channel]))
        told.add(at, marks.ConnectionReady(connection=line + 1, tickers=10 * line))
    return told


def stopped(told: Told, at: float) -> Told:
    told.add(at, marks.ConnectionClose(1, 1000, ""))
    told.add(at, marks.ConnectionClose(2, 1000, ""))
    told.lose(at, "planned_teardown", planned=True, fault="ours").add(at, marks.SessionEnd("stopped"))
    return told


def test_what_one_of_two_connectors_misses_the_other_does_not_make_good() -> None:
    first, second = stopped(of_shard(1, "a"), 90_000), stopped(of_shard(2, "b"), 1_000)
    again = stopped(of_shard(2, "c", at=1_010), 90_000)
    told = seen(first, second, again)

    assert day(told, "orderbook") == [
        ("captured", 0, 1_000), ("gap", 1_000, 1_010), ("captured", 1_010, 86_400),
    ]  # fmt: skip
    assert day(told, "trade") == [("captured", 0, 86_400)]


def test_what_the_first_of_two_connectors_misses_is_missing_of_every_channel_that_it_carries() -> None:
    first, again = stopped(of_shard(1, "a"), 1_000), stopped(of_shard(1, "c", at=1_010), 90_000)
    told = seen(first, stopped(of_shard(2, "b"), 90_000), again)

    for channel in ("trade", "orderbook"):
        assert day(told, channel) == [
            ("captured", 0, 1_000), ("gap", 1_000, 1_010), ("captured", 1_010, 86_400),
        ]  # fmt: skip
