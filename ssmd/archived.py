"""The raw archive of a feed, for whoever asks about its days: its store is opened only if a sealed day must be read."""

from functools import cached_property
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.utils import timezone

from archive.known_sessions import Archived
from archive.store import Store, open_store
from registry.models import CaptureSession, EnvironmentVersion, Feed
from registry.refusal import Reason, Refused


class _OpenedLater:
    """A store that is opened at its first use: a bucket's client takes half a second to load."""

    def __init__(self, version: EnvironmentVersion | None, *, is_raw: bool = True) -> None:
        self._version, self._is_raw = version, is_raw

    @cached_property
    def _store(self) -> Store:
        if self._version is None:
            problem = "No environment records this feed: its archive is not known"
            raise Refused([Reason(problem, "Apply one with `ssmd env apply`.")])
        spec = self._version.spec
        which = spec.storage.raw if self._is_raw else spec.storage.normalized
        return open_store(which, Path(settings.SSMD_HOME), secrets=spec.secrets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def archived_in(version: EnvironmentVersion) -> Archived:
    """The archive of an environment's version."""
    return _archived(version.feed, version.environment.name, version)


def _archived(feed: Feed, environment: str, version: EnvironmentVersion | None) -> Archived:
    raw, normalized = _OpenedLater(version), _OpenedLater(version, is_raw=False)
    return Archived(feed, environment, cast(Store, raw), cast(Store, normalized))


def archived_of(feed: str) -> Archived:
    """By the environment in force for the feed, else by the one that recorded it last."""
    row = Feed.objects.get(name=feed)
    versions = EnvironmentVersion.objects.filter(feed=row).select_related("environment", "feed")
    in_force = versions.as_of(timezone.now()).first()
    last = CaptureSession.objects.filter(feed=row).order_by("-started_at").first()
    version = in_force or versions.order_by("-version").first()
    if last is not None and (version is None or version.environment.name != last.environment):
        version = versions.filter(environment__name=last.environment).order_by("-version").first() or version
    name = last.environment if last else version.environment.name if version else ""
    return _archived(row, name, version)
