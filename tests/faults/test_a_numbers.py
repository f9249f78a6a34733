"""A14 to A19, A42 to A44: numbers that are lost, repeated, moved or begun anew, and books that do not come."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streaming.issues import IssueKind
from streaming.kalshi import books_due, messages
from streaming.kalshi import line as kalshi_line
from streaming.kalshi import session as conversation
from streaming.kalshi.sequence import SeqCounter
from streaming.kalshi.session import KalshiSession
from tests.faults.a_exchange import GAPS, RECONNECTS, Life, errors, prove_by_living, received
from tests.faults.a_hurry import MS, hurry
from tests.faults.a_ledger import read
from tests.faults.capture_rig import Rig
from tests.faults.proof import fault
from tests.faults.recorder import FEED

HEALED = f'ssmd_connector_trades_healed_total{{feed="{FEED}"}}'


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def uncounted(counter: SeqCounter, sid: int | None, seq: int | None) -> None:
    """As if numbers meant nothing."""


@pytest.fixture
def off(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda: monkeypatch.setattr(SeqCounter, "take", uncounted)


@fault("A14")
@pytest.mark.parametrize(
    "order",
    [
        {"do": "skip_seq", "count": 3, "channel": "orderbook_delta"},
        {"do": "jump_seq", "by": 5, "channel": "orderbook_delta"},
        {"do": "skip_seq", "count": 2, "channel": "trade"},
    ],
    ids=str,
)
def test_skipped_numbers_are_a_gap_until_the_books_are_whole(
    order: dict[str, Any], off: Any, tmp_path: Path
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        await life.struck(**order)
        await life.over()

    prove_by_living(tmp_path, act, off, gaps=("sequence_gap",), metric=errors("sequence"))


@fault("A14")
def test_skipped_trades_are_fetched_from_rest(tmp_path: Path, off: Any) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        before = life.count_of(HEALED)
        await life.struck(do="skip_seq", count=3, channel="trade")
        await life.until(lambda: life.count_of(HEALED) - before >= 3)

    prove_by_living(tmp_path, act, off, gaps=("sequence_gap",), metric=HEALED, at_least=3)


def has_issue(kind: IssueKind, least: int = 1) -> Any:
    """The archive normalizes to this many issues of the kind, and to no trade twice."""

    def judge(rig: Rig) -> list[str]:
        events, issues = read(rig.archive())
        trades = [event.trade_id for event in events if hasattr(event, "trade_id")]
        wrong = [] if len(trades) == len(set(trades)) else ["a trade twice"]
        found = [issue for issue in issues if issue.kind is kind]
        return wrong + ([] if len(found) >= least else [f"only {len(found)} of {kind}: {issues[:3]}"])

    return judge


@fault("A15")
@pytest.mark.parametrize("channel", ["trade", "orderbook_delta"])
def test_what_is_sent_twice_is_recorded_twice_and_normalized_once(
    channel: str, tmp_path: Path, off: Any
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more(50)  # a first frame that comes again could be a new count's
        await life.struck(do="duplicate", channel=channel, times=2)

    judge = has_issue(IssueKind.DUPLICATE, 2)
    prove_by_living(tmp_path, act, off, gaps=(), metric=received("trade"), judge=judge)


@fault("A16")
@pytest.mark.parametrize("channel", ["trade", "orderbook_delta"])
def test_what_is_overtaken_is_a_gap_and_said_to_be_out_of_order(
    channel: str, tmp_path: Path, off: Any
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        await life.struck(do="swap", channel=channel)
        await life.over()

    judge = has_issue(IssueKind.OUT_OF_ORDER)
    prove_by_living(tmp_path, act, off, gaps=("sequence_gap",), metric=errors("sequence"), judge=judge)


@fault("A17")
def test_numbers_that_begin_anew_are_a_gap(tmp_path: Path, off: Any) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more(30)
        await life.struck(do="reset_seq", channel="orderbook_delta")
        await life.over()

    prove_by_living(tmp_path, act, off, gaps=("sequence_gap",), metric=errors("sequence"))


@fault("A18")
def test_changes_before_their_book_are_recorded_and_the_book_is_asked_anew(tmp_path: Path, off: Any) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        late = life.exchange.fault(do="late_snapshots", frames=3)
        life.fault(do="reset")
        await life.until(lambda: not life.exchange.trouble.mischief.is_on(late))
        await life.over(2)

    gaps = ("connection_lost", "sequence_gap")
    prove_by_living(tmp_path, act, off, gaps=gaps, metric=errors("sequence"))


@fault("A19")
@pytest.mark.parametrize("seconds", [0.5, 1.3], ids=["asked for again", "given up, and asked for with the roll call"])  # fmt: skip
def test_books_that_do_not_come_are_losses_of_their_own_until_they_do(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "ROLL_CALL_EVERY_NS", 400 * MS)
    monkeypatch.setattr(books_due, "WITHIN_NS", 200 * MS)

    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        swallowing = life.exchange.fault(do="swallow_snapshots", **{"for": seconds})
        life.fault(do="reset")
        await life.lost(3)
        await life.until(lambda: not life.exchange.trouble.mischief.is_on(swallowing))
        await life.over(3)

    def off() -> None:
        monkeypatch.setattr(KalshiSession, "_overdue_books", lambda session, now_ns: [])

    gaps = ("connection_lost", "subscription_incomplete", "subscription_incomplete")
    prove_by_living(tmp_path, act, off, gaps=gaps, metric=GAPS, at_least=3)


@fault("A42")
def test_answers_are_counted_as_the_venue_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        before = life.count_of(received("control"))
        life.exchange.fault(do="roll_over", markets=3, lead=0.1, period=1)
        await life.until(lambda: life.count_of(received("control")) > before)
        await life.more()

    decode = messages.decode_envelope

    def unnumbered(frame: bytes) -> messages.Envelope:
        """As if an answer took no number."""
        found = decode(frame)
        is_answer = messages.raw_type(found.type) == "control"
        return msgspec.structs.replace(found, seq=None) if is_answer else found

    def off() -> None:
        monkeypatch.setattr(messages, "decode_envelope", unnumbered)

    prove_by_living(tmp_path, act, off, gaps=(), metric=received("control"), at_least=5)


@fault("A43", "A33")
@pytest.mark.parametrize(
    ("code", "cause", "channel"),
    [(10, "connection_lost", "orderbook_delta"), (25, "venue_overflow", "orderbook_delta"), (25, "venue_overflow", "trade")],
)  # fmt: skip
def test_a_subscription_that_the_venue_ended_is_opened_anew(
    code: int, cause: str, channel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        life.fault(do="end_subscription", code=code, channel=channel)
        await life.over()

    def off() -> None:
        monkeypatch.setattr(conversation, "ENDED", ())

    prove_by_living(tmp_path, act, off, gaps=(cause,), metric=errors("venue"))


@fault("A44")
def test_sids_mean_something_else_on_the_next_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        life.exchange.fault(do="first_sid", sid=2)  # what was a trade's is a ticker's now
        life.fault(do="reset")
        await life.over()
        await life.more(30)

    def off() -> None:
        known = SeqCounter()
        monkeypatch.setattr(
            kalshi_line, "KalshiSession", lambda **options: KalshiSession(_sequence=known, **options)
        )

    prove_by_living(tmp_path, act, off, gaps=("connection_lost",), metric=RECONNECTS)
