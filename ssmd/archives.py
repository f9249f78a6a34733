"""An environment's archives as plain values: another process opens them by these, without asking the registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from archive.seal import Archive
from archive.store import open_store
from registry.environment_file import Store as StoreSpec
from ssmd import __version__

if TYPE_CHECKING:  # a process that only has a step to do loads no models
    from registry.models import EnvironmentVersion


@dataclass(frozen=True, slots=True)
class ArchiveSpec:
    """What it takes to open both archives; `secrets` are references."""

    environment: str
    feed: str
    raw: StoreSpec
    normalized: StoreSpec
    secrets: Mapping[str, str]
    home: Path

    def open(self) -> Archive:
        """Both stores, reached at their first use."""
        return Archive(
            feed=self.feed,
            environment=self.environment,
            raw=open_store(self.raw, self.home, secrets=self.secrets),
            normalized=open_store(self.normalized, self.home, secrets=self.secrets),
            work=self.home / "run" / "seal",
            code_version=__version__,
        )


def archives_of(version: "EnvironmentVersion") -> ArchiveSpec:
    """The archives that an environment's version names."""
    spec = version.spec
    return ArchiveSpec(
        environment=version.environment.name,
        feed=version.feed.name,
        raw=spec.storage.raw,
        normalized=spec.storage.normalized,
        secrets=dict(spec.secrets),
        home=Path(settings.SSMD_HOME),
    )
