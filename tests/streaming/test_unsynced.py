from streaming.unsynced import Unsynced


def copies(*blocks: bytes, **options: int) -> Unsynced:
    """One record a block."""
    unsynced = Unsynced(**options)
    for n, block in enumerate(blocks, start=1):
        unsynced.add(block, last_n=n, since=float(n))
    return unsynced


def test_what_is_on_the_disk_needs_no_copy() -> None:
    unsynced = copies(b"a", b"b")
    assert (unsynced.is_any, unsynced.since(), unsynced.kept_bytes) == (True, 1.0, 2)

    unsynced.begin()
    unsynced.add(b"c", last_n=3, since=3.0)
    unsynced.done()

    assert (unsynced.synced_n, unsynced.data, unsynced.since(), unsynced.kept_bytes) == (2, b"c", 3.0, 1)


def test_after_a_failure_everything_since_the_last_good_sync_is_there() -> None:
    unsynced = copies(b"a", b"b")
    unsynced.begin()
    unsynced.add(b"c", last_n=3, since=3.0)

    unsynced.failed()

    assert (unsynced.synced_n, unsynced.data, unsynced.since()) == (0, b"abc", 1.0)


def test_of_a_block_that_the_kernel_has_not_taken_whole_no_sync_is_begun() -> None:
    unsynced = copies(b"a", b"b", b"half")

    unsynced.begin(but_last=True)
    unsynced.done()

    assert (unsynced.synced_n, unsynced.data, unsynced.kept_bytes) == (2, b"half", 4)
    assert (unsynced.has_any(but_last=True), unsynced.is_any) == (False, True)


def test_what_was_forgotten_for_want_of_memory_is_not_claimed_to_be_here() -> None:
    unsynced = copies(b"aaaa", b"bbbb", b"cccc", most_bytes=10)
    assert (unsynced.is_whole, unsynced.is_any) == (False, True)

    unsynced.begin()
    unsynced.done()

    assert (unsynced.is_whole, unsynced.is_any) == (True, False)
