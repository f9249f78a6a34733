"""Environments: numbered, hashed configurations, and which of them is applied."""

from datetime import date, datetime

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from simple_history.models import HistoricalRecords

from registry.environment_file import EnvironmentSpec, config_hash, parse_environment
from registry.models.feed import Feed
from registry.refusal import ExitCode, Reason, Refused
from registry.temporal import InstantQuerySet, NoOverlap, written


class EnvironmentQuerySet(models.QuerySet["Environment"]):
    """Environments, and the one that commands default to."""

    def applied(self) -> "Environment":
        """The one applied environment; a simulated one counts only while no real one is applied."""
        return self.applied_version().environment

    def applied_version(self) -> "EnvironmentVersion":
        """The version in force of the one applied environment."""
        versions = EnvironmentVersion.objects.as_of(timezone.now()).select_related("environment", "feed")
        in_force = list(versions.filter(environment__status=Environment.Status.ACTIVE, environment__in=self))
        real = [version for version in in_force if not version.feed.simulated]
        counted = real or in_force
        if len(counted) != 1:
            raise Refused([_not_one([version.environment.name for version in counted])])
        return counted[0]


def _not_one(names: list[str]) -> Reason:
    if not names:
        return Reason("No environment is applied", "Name one with --env; `ssmd bootstrap` makes 'demo'.")
    return Reason(f"Several environments are applied: {', '.join(sorted(names))}", "Name one with --env.")


class Environment(models.Model):
    """What is recorded, streamed and stored where; the answer is in its versions."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        DISABLED = "disabled"

    name = models.CharField(max_length=64, unique=True)
    description = models.TextField(null=True, blank=True)
    status = models.CharField(
        max_length=16, choices=Status, default=Status.ACTIVE, db_default=Status.ACTIVE.value
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    objects = EnvironmentQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        db_table = "environments"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @transaction.atomic
    def add_version(self, text: str) -> "EnvironmentVersion":
        """Record this configuration under the next number; the latest again when nothing changed."""
        spec = parse_environment(text)
        latest = self.latest()
        if latest is not None and latest.config_hash == config_hash(text):
            return latest
        version = EnvironmentVersion(
            environment=self,
            version=latest.version + 1 if latest else 1,
            feed=Feed.objects.get(name=spec.feed),
            config_yaml=text,
            config_hash=config_hash(text),
        )
        version.save()
        return version

    def latest(self) -> "EnvironmentVersion | None":
        """The version with the highest number, applied or not."""
        return self.versions.order_by("-version").first()

    def version_in_force(self, moment: date | datetime) -> "EnvironmentVersion":
        """The version applied at `moment`, or the refusal that says when one was."""
        version = self.versions.as_of(moment).first()
        if version is None:
            raise Refused([self._nothing_applied(moment)], exit_code=ExitCode.NOT_FOUND)
        return version

    def _nothing_applied(self, moment: date | datetime) -> Reason:
        first = self.versions.exclude(valid_from=None).order_by("valid_from").first()
        problem = f"Environment '{self.name}' had no version applied at {written(moment)}"
        if first is None or first.valid_from is None:
            return Reason(
                f"Environment '{self.name}' has never been applied",
                "Its registered versions are in `ssmd env show`.",
            )
        return Reason(problem, f"Version {first.version} was applied at {written(first.valid_from)}.")


class EnvironmentVersion(models.Model):
    """One configuration of an environment: applied from `valid_from` until before `valid_to`."""

    environment = models.ForeignKey(Environment, models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    feed = models.ForeignKey(Feed, models.PROTECT, related_name="environment_versions")

    config_yaml = models.TextField()
    config_hash = models.CharField(max_length=64)

    deployed_at = models.DateTimeField(null=True, blank=True)
    deployed_by = models.CharField(max_length=64, null=True, blank=True)
    git_commit = models.CharField(max_length=40, null=True, blank=True)

    valid_from = models.DateTimeField(null=True, blank=True, help_text="NULL: registered, not applied.")
    valid_to = models.DateTimeField(null=True, blank=True)

    objects = InstantQuerySet["EnvironmentVersion"].as_manager()
    history = HistoricalRecords()

    class Meta:
        db_table = "environment_versions"
        ordering = ["environment", "version"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "version"], name="environment_versions_version"),
            models.CheckConstraint(
                condition=Q(valid_to=None) | Q(valid_to__gt=F("valid_from")),
                name="environment_versions_period",
                violation_error_message="valid_to must be after valid_from.",
            ),
            NoOverlap(
                name="environment_versions_no_overlap",
                owner="environment",
                start="valid_from",
                end="valid_to",
                instants=True,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.environment.name} version {self.version}"

    @property
    def spec(self) -> EnvironmentSpec:
        """The configuration as typed values."""
        return parse_environment(self.config_yaml)

    @transaction.atomic
    def apply(self, *, at: datetime, by: str, git_commit: str | None = None) -> None:
        """Put this version in force from `at`, closing the one before; harmless when repeated.

        `git_commit` is the one that the file was read from, where it is known.
        """
        siblings = EnvironmentVersion.objects.select_for_update().filter(environment_id=self.environment_id)
        present = siblings.as_of(at).first()
        if present is not None and present.pk == self.pk:
            return
        if present is not None:
            present.valid_to = at
            present.save()
        self.valid_from = self.deployed_at = at
        self.valid_to, self.deployed_by, self.git_commit = None, by, git_commit
        self.save()
