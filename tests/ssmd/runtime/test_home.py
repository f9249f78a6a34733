import os
from pathlib import Path

import pytest

from registry.refusal import Refused
from ssmd.runtime import home


def test_one_folder_has_one_holder_and_the_second_hears_of_the_first(data_folder: Path) -> None:
    lock = home.hold(data_folder)
    with pytest.raises(Refused) as refused:
        home.hold(data_folder)
    assert refused.value.exit_code == 5
    assert str(os.getpid()) in str(refused.value)
    os.close(lock)

    os.close(home.hold(data_folder))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused) as refused:
        home.prepare(tmp_path / "file" / "home")
    assert refused.value.exit_code == 9
