import pytest

from streaming.kalshi.shards import ALL, Shard, parse_shard


def test_a_shard_is_written_as_it_is_read() -> None:
    assert parse_shard("2/3") == Shard(2, 3)
    assert str(Shard(2, 3)) == "2/3"
    assert (parse_shard(""), str(ALL)) == (ALL, "")


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_what_is_no_shard_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="as 2/3 for the second of three"):
        parse_shard(text)


def test_the_same_market_belongs_to_the_same_shard_for_ever() -> None:
    """Sessions of past days were recorded by it: another hash would read their states differently."""
    owners = [next(i for i in (1, 2, 3) if Shard(i, 3).owns(ticker)) for ticker in ("A", "B", "KXBTC-1", "é")]

    assert owners == [3, 2, 1, 3]
