"""Who may read: people who are signed in to the admin; and on one's own machine, anybody on that machine."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework.exceptions import MethodNotAllowed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # the views read their permission classes while they are imported
    from rest_framework.views import APIView

_LOOPBACK_CLIENTS = ("127.0.0.1", "::1")
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1", "testserver")
# Whoever came through a proxy on this machine is not on this machine.
_PROXY_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip")


def is_own_machine() -> bool:
    """Whether this installation answers to loopback names only: nobody meant it for others yet."""
    return bool(settings.ALLOWED_HOSTS) and all(host in _LOOPBACK_HOSTS for host in settings.ALLOWED_HOSTS)


def may_read(*, client: str, header_names: set[str], user: Any) -> bool:
    """The one rule of REST and WebSocket; `header_names` in lower case."""
    if user is not None and user.is_active and user.is_staff:
        return True
    came_by_proxy = bool(header_names & set(_PROXY_HEADERS))
    return is_own_machine() and client in _LOOPBACK_CLIENTS and not came_by_proxy


class LoopbackOrSignedIn(BasePermission):
    """Reads without a key from this machine, in the embedded default only; otherwise a signed-in operator's."""

    def has_permission(self, request: "Request", view: "APIView") -> bool:
        """REST's side of the rule; refuses in words, since a bare False would only say that a key is missing."""
        if request.method not in SAFE_METHODS:
            raise MethodNotAllowed(str(request.method))  # nothing can be changed here yet
        names = {name.lower() for name in request.headers}
        client = str(request.META.get("REMOTE_ADDR", ""))
        if not may_read(client=client, header_names=names, user=request.user):
            raise PermissionDenied(
                "Sign in at /admin/ first: reading without a key is for programs on the same machine, "
                "and only where DJANGO_ALLOWED_HOSTS names no other host."
            )
        return True
