from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from ssmd.runtime import login


@pytest.fixture(autouse=True)
def run_folder(tmp_path: Path, settings: Any) -> Path:
    settings.RUN_DIR = settings.STATIC_ROOT = tmp_path
    return tmp_path


@pytest.mark.django_db
def test_the_link_signs_its_first_visitor_in_and_nobody_after(client: Client) -> None:
    token = login.offer()

    first = client.get(f"/login/{token}")
    second = Client().get(f"/login/{token}")

    assert (first.status_code, first["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200
    assert second.status_code == 403
    assert "used already" in second.content.decode()


@pytest.mark.django_db
def test_the_link_makes_one_superuser_without_a_password() -> None:
    for _ in range(2):
        assert Client().get(f"/login/{login.offer()}").status_code == 302
    [user] = get_user_model().objects.all()
    assert (user.username, user.is_superuser, user.has_usable_password()) == ("admin", True, False)


@pytest.mark.django_db
def test_a_wrong_token_signs_nobody_in_and_spends_nothing(client: Client) -> None:
    token = login.offer()
    assert client.get("/login/wrong").status_code == 403
    assert client.get(f"/login/{token}").status_code == 302


def test_a_new_link_ends_the_one_before() -> None:
    before = login.offer()
    login.offer()
    assert not login.spend(before)


def test_the_token_is_kept_only_as_a_hash_for_its_owner(run_folder: Path) -> None:
    token = login.offer()
    [kept] = run_folder.iterdir()
    assert token not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_without_an_offer_no_token_is_right() -> None:
    login.withdraw()
    assert not login.spend("")
