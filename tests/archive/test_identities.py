"""Sets of identities behave as sets, and come back from their bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.identities import IdentitySet, decode

IDENTITIES = st.sets(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 100_000), st.integers(0, 2)))


def set_of(identities: set[tuple[str, int, int]]) -> IdentitySet:
    found = IdentitySet()
    for identity in identities:
        found.add(*identity)
    return found


@given(IDENTITIES, IDENTITIES)
def test_they_are_sets(one: set[tuple[str, int, int]], other: set[tuple[str, int, int]]) -> None:
    both = set_of(one)
    both.merge(set_of(other))

    assert set(set_of(one).without(set_of(other))) == one - other
    assert set(both) == one | other
    assert len(both) == len(one | other)
    assert all(identity in both for identity in one)


@given(IDENTITIES, st.integers(0, 100_000))
def test_they_can_be_cut_at_a_number_of_each_session(one: set[tuple[str, int, int]], last_n: int) -> None:
    found = set_of(one)

    assert set(found.up_to({"a": last_n})) == {each for each in one if each[0] == "a" and each[1] <= last_n}
    assert found.last_n() == {
        session: max(n for name, n, _ in one if name == session) for session in {name for name, _, _ in one}
    }


@given(IDENTITIES)
def test_equal_sets_have_equal_bytes_and_come_back_from_them(one: set[tuple[str, int, int]]) -> None:
    grown = set_of(one | {("a", 900_000, 0)}).without(set_of({("a", 900_000, 0)}))

    assert grown.encode() == set_of(one - {("a", 900_000, 0)}).encode()
    assert set(decode(set_of(one).encode())) == one


def test_a_number_that_is_no_session_s_is_refused_before_it_takes_the_memory() -> None:
    with pytest.raises(ValueError, match="no identity of ours"):
        IdentitySet().add("a", 2**63, 0)
