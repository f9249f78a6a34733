"""Wrong words on the command line."""

import pytest

from ssmd.cli.main import run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("feeds list", "Did you mean 'feed'?"),
        ("feed lst", "Did you mean 'list'?"),
        ("feed nonsense", "Known: list, show."),
        ("feed list --statu=x", "--status"),
        ("feed list --jsno", "usage: ssmd feed list"),
        ("feed list --jsno", "Did you mean '--json'?"),
        ("feed show kalshi another", "usage: ssmd feed show"),
        ("feed list -o jsn", "Did you mean 'json'?"),
        ("feed list --status activ", "argument --status"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words.split())

    assert (ended.value.code, said in capsys.readouterr().err) == (2, True)
