import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import wire
from streaming.delta_glance import glance_at_delta
from streaming.events import BookDelta, BookSide, Event, GapNotice, MarketStatus, Origin, Status, Ticker
from streaming.glance import glance
from streaming.subjects import token_of
from streaming.wire import WireError
from tests.streaming.conftest import SESSION, Make, delta, gap, origin, snapshot, trade


def ticker(name: str) -> Ticker:
    return Ticker(
        ticker=name, last_e4=1, bid_e4=None, ask_e4=2, bid_size_e2=1, ask_size_e2=1, last_size_e2=1, volume_e2=1,
        open_interest_e2=1, venue_ns=None, origin=origin(6), market_id="id",
    )  # fmt: skip


EVENTS: list[Event] = [
    trade("KX-1.5", 3),
    snapshot("KX-1.5", 4, bids={100: 5}, asks={9000: 3}),
    snapshot("KX-1.5", 4, bids={100: 5}, checkpoint=True),
    delta("KX-1.5", 5, 100, 3),
    delta("KX-1.5", 5, 100, None),
    msgspec.structs.replace(delta("KX-1.5", 5, 100, 3), side=BookSide.ASK, market_id="ü"),
    ticker("KX-1.5"),
    MarketStatus(ticker="KX-1.5", status=Status.SETTLED, venue_ns=None, origin=origin(7), result="yes"),
]


def origin_of(event: Event) -> Origin:
    assert not isinstance(event, GapNotice)
    return event.origin


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_glance_sees_the_origin_and_the_market(event: Event) -> None:
    seen = glance(token_of(event), wire.encode(event))
    at = origin_of(event)
    assert seen == (at.received_ns, at.session, at.n, at.k, "KX-1.5")


def test_a_gap_is_of_the_time_of_its_notice_and_told_apart_by_its_end() -> None:
    opened, closed = gap("KX", ended=False), gap("KX", ended=True)
    assert glance("gap", wire.encode(opened)) == (opened.from_ns, SESSION, 9, 0, "sequence_gap")
    assert glance("gap", wire.encode(closed)) == (closed.to_ns, SESSION, 9, 1, "sequence_gap")


@given(text=st.text(max_size=60), price=st.integers(0, 10_000), size=st.none() | st.integers(0, 2**63))
def test_a_delta_is_seen_by_its_layout_as_the_library_sees_it(
    text: str, price: int, size: int | None
) -> None:
    event: BookDelta = msgspec.structs.replace(delta("KX", 5, price, size), ticker=text.replace("\0", ""))
    payload = wire.encode(event)
    assert glance_at_delta(payload) == glance("checkpoint", payload)  # there the library is asked


@given(
    event=st.sampled_from([*EVENTS, gap("A", "B")]),
    overwritten=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 40),
)
def test_what_passes_a_glance_can_be_decoded(
    event: Event, overwritten: list[tuple[int, int]], cut: int
) -> None:
    payload = bytearray(wire.encode(event))
    for at, value in overwritten:
        payload[at % len(payload)] = value
    spoilt = bytes(payload[: len(payload) - cut])
    try:
        seen = glance(token_of(event), spoilt)
    except WireError:
        return
    decoded = wire.decode(token_of(event), spoilt)
    if not isinstance(decoded, GapNotice):
        its = decoded.origin
        assert seen == (its.received_ns, its.session, its.n, its.k, decoded.ticker)


def test_a_token_of_nobody_is_refused(make: type[Make]) -> None:
    with pytest.raises(WireError, match="'raw'"):
        glance("raw", wire.encode(make.trade("KX", 1)))
