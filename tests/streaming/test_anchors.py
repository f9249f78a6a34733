from streaming.anchors import Anchor, Anchors, Hole


def anchors(*seqs: int, most: int = 4096) -> Anchors:
    """Record n = 10 * sequence, received at n ns."""
    found = Anchors(most)
    for seq in seqs:
        found.add(Anchor(seq, 10 * seq, f"s.{10 * seq}.0", 10 * seq, 0.0))
    return found


def test_few_anchors_tell_exactly_what_is_lost() -> None:
    known = anchors(*range(1, 11))

    assert known.lost(4, 6, why="purged") == Hole(40, 60, 40, 60, "purged")
    assert known.lost(8, 10**9, why="rolled back") == Hole(80, 100, 80, 100, "rolled back")
    assert known.lost(11, 20, why="purged") is None


def test_what_others_published_between_is_not_ours_to_lose() -> None:
    assert anchors(1, 2, 5, 6).lost(3, 4, why="purged") is None


def test_many_are_thinned_and_a_hole_then_reaches_to_the_anchors_beside_it() -> None:
    known = anchors(*range(1, 1001), most=16)

    assert len(known.all()) <= 17
    hole = known.lost(500, 510, why="purged")
    assert hole is not None
    assert hole.first_n <= 5000
    assert hole.last_n >= 5100
    assert hole.last_n - hole.first_n <= 10 * 4 * 1000 // 8
    tail = known.lost(990, 10**9, why="rolled back")
    assert tail is not None
    assert (tail.first_n <= 9900, tail.last_n) == (True, 10_000)


def test_the_newest_anchor_is_always_known() -> None:
    known = anchors(*range(1, 1001), most=16)

    assert known.last == Anchor(1000, 10_000, "s.10000.0", 10_000, 0.0)
    assert known.all()[-1] == known.last


def test_what_is_gone_is_forgotten() -> None:
    known = anchors(*range(1, 11))

    known.forget_after(7)
    known.forget_before(3)

    assert [one.seq for one in known.all()] == [3, 4, 5, 6, 7]
    assert known.last is not None
    assert known.last.seq == 7
