"""The one-time link that `ssmd up` prints: it logs its first visitor in as the superuser `admin`.

Only the token's hash is kept, under SSMD_HOME/run; the file goes with the first visit and with the end of `ssmd up`.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

NAME = "admin"
_SPENT = "This login link was used already, or is of an earlier start. `ssmd login` gives a new one."


def _kept() -> Path:
    return Path(settings.RUN_DIR) / "login_token"


def offer() -> str:
    """A new token; an earlier one is worth nothing from now on."""
    token = secrets.token_urlsafe(32)
    withdraw()
    _kept().touch(mode=0o600)
    _kept().write_text(_hash(token))
    return token


def withdraw() -> None:
    """No link is valid from now on."""
    _kept().unlink(missing_ok=True)


def spend(token: str) -> bool:
    """Is it the offered token, and is this its first use?"""
    try:
        if not hmac.compare_digest(_kept().read_text(), _hash(token)):
            return False
        _kept().unlink()  # only one of two visitors at the same moment succeeds
    except FileNotFoundError:
        return False
    return True


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@require_GET
@never_cache
def one_time_login(request: HttpRequest, token: str) -> HttpResponse:
    """`/login/<token>`: to the admin, signed in, or a page that says why not."""
    if not spend(token):
        return HttpResponse(_SPENT, status=403, content_type="text/plain; charset=utf-8")
    user, is_new = get_user_model().objects.get_or_create(
        username=NAME, defaults={"is_staff": True, "is_superuser": True}
    )
    if is_new:
        user.set_unusable_password()
        user.save()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("admin:index")
