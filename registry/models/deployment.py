"""What was done to an environment, when, and how it ended: a run is a row, its steps are rows below it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date as Date
from typing import Any, Self

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from simple_history.models import HistoricalRecords

from registry.models.environment import EnvironmentVersion


class DeploymentLogQuerySet(models.QuerySet["DeploymentLog"]):
    """Runs and steps."""

    def runs(self) -> Self:
        """Without the steps."""
        return self.filter(parent=None)

    def unfinished(self) -> Self:
        """What still goes on, or was cut short by a crash."""
        return self.filter(status=DeploymentLog.Status.STARTED)


class DeploymentLog(models.Model):
    """One action, or one step of it; a row that stays `started` tells of a crash."""

    class Action(models.TextChoices):
        STARTUP = "startup"
        TEARDOWN = "teardown"
        DEPLOY = "deploy"
        ROLLBACK = "rollback"
        SEAL = "seal"
        NORMALIZE = "normalize"

    class Status(models.TextChoices):
        STARTED = "started"
        COMPLETED = "completed"
        FAILED = "failed"
        SKIPPED = "skipped"

    class Trigger(models.TextChoices):
        SCHEDULED = "scheduled"
        MANUAL = "manual"
        GITOPS = "gitops"

    environment_version = models.ForeignKey(EnvironmentVersion, models.PROTECT, related_name="deployments")
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="steps")
    action = models.CharField(max_length=32, choices=Action)
    step = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Empty: the run itself."
    )
    date = models.DateField(null=True, blank=True, help_text="The UTC day it is about.")
    status = models.CharField(
        max_length=16, choices=Status, default=Status.STARTED, db_default=Status.STARTED.value
    )
    started_at = models.DateTimeField(default=timezone.now, db_default=Now())
    completed_at = models.DateTimeField(null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)

    trigger = models.CharField(max_length=32, choices=Trigger)
    triggered_by = models.CharField(max_length=64)
    detail = models.JSONField(
        default=dict, blank=True, db_default={}, help_text="Figures of this run or step."
    )

    objects = DeploymentLogQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        db_table = "deployment_log"
        ordering = ["-started_at", "-id"]
        verbose_name_plural = "deployment log"
        indexes = [models.Index(fields=["action", "date"], name="idx_deployment_log_action_date")]
        constraints = [
            models.CheckConstraint(
                condition=Q(parent=None, step="") | (Q(parent__isnull=False) & ~Q(step="")),
                name="deployment_log_step",
            ),
            models.CheckConstraint(
                condition=Q(status="started", completed_at=None)
                # Without `isnull` an absent end would pass: a comparison with NULL refuses nothing.
                | (~Q(status="started") & Q(completed_at__isnull=False, completed_at__gte=F("started_at"))),
                name="deployment_log_completed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.step}".rstrip()

    @classmethod
    @contextmanager
    def record(
        cls,
        version: EnvironmentVersion,
        action: str,
        *,
        trigger: str,
        by: str,
        on: Date | None = None,
        detail: dict[str, Any] | None = None,
    ) -> Iterator["DeploymentLog"]:
        """A run: the row is there before the block begins, and says afterwards how it ended."""
        run = cls(
            environment_version=version,
            action=action,
            trigger=trigger,
            triggered_by=by,
            date=on,
            detail=detail or {},
        )
        with run._recorded():
            yield run

    @contextmanager
    def record_step(self, step: str, **detail: Any) -> Iterator["DeploymentLog"]:
        """A step of this run, recorded likewise."""
        row = DeploymentLog(
            environment_version=self.environment_version,
            parent=self,
            step=step,
            action=self.action,
            trigger=self.trigger,
            triggered_by=self.triggered_by,
            date=self.date,
            detail=detail,
        )
        with row._recorded():
            yield row

    @classmethod
    def close_interrupted(cls, version: EnvironmentVersion, action: str, on: Date) -> None:
        """Runs of this action and day that never said how they ended failed; one that goes on says so at its end."""
        cut_short = cls.objects.runs().unfinished().filter(action=action, date=on)
        for run in cut_short.filter(environment_version__environment=version.environment):
            run._end(cls.Status.FAILED, "interrupted: a later run found it without an end")

    def skip(self, why: str) -> None:
        """There was nothing to do: said in the block, the row ends as skipped, also when the block then raises."""
        self.status = self.Status.SKIPPED
        self.detail = {**self.detail, "skipped": why}

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        # Durable: inside another transaction the row would vanish with the crash that it is to show.
        with transaction.atomic(durable=True):
            self.save()
        try:
            yield
        except BaseException as error:  # also a cancelled task and ^C: the row says so
            if self.status == self.Status.SKIPPED:  # the caller is told by an exception that nothing was done
                self._end(self.Status.SKIPPED)
            else:
                self._end(self.Status.FAILED, f"{type(error).__name__}: {error}".removesuffix(": "))
            raise
        self._end(self.Status.SKIPPED if self.status == self.Status.SKIPPED else self.Status.COMPLETED)

    def _end(self, status: str, error_message: str | None = None) -> None:
        self.status, self.error_message = status, error_message
        # A clock that was set back must not make a period that ends before it began.
        self.completed_at = max(timezone.now(), self.started_at)
        with transaction.atomic(durable=True):
            self.save()
