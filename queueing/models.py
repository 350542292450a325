"""The ledger: one row per job, one row per execution of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .cadence import validate_cron, validate_time_zone

MAX_TASK_NAME = 200


class JobStatus(models.TextChoices):
    """Where a job is in its life. Only `READY` rows are scanned by a claim, so waiting rows cost a claim nothing."""

    SCHEDULED = "scheduled", _("scheduled")  # due later: waits for `run_after`
    READY = "ready", _("ready")  # claimable now
    BLOCKED = "blocked", _("blocked")  # an earlier unfinished job of its ordering key exists
    RUNNING = "running", _("running")  # a worker holds its lease
    SUCCEEDED = "succeeded", _("succeeded")  # done
    DEAD = "dead", _("dead")  # given up: the dead letter, kept until someone retries or discards it
    CANCELLED = "cancelled", _("cancelled")  # taken back, or merged into the job that waits under its unique key


WAITING = (JobStatus.SCHEDULED, JobStatus.READY, JobStatus.BLOCKED)
UNFINISHED = (*WAITING, JobStatus.RUNNING)
FINISHED = (JobStatus.SUCCEEDED, JobStatus.DEAD, JobStatus.CANCELLED)


class JobQuerySet(models.QuerySet["Job"]):
    """Looks that repeat the conditions of partial indexes word by word: SQLite does not use them otherwise."""

    def unfinished_of(self, ordering_keys: Iterable[str]) -> Self:
        """Those that have not ended, of these ordering keys."""
        return self.filter(ordering_key__in=list(ordering_keys), finished_at=None).exclude(ordering_key="")

    def waiting_under(self, unique_key: str) -> Self:
        """The one that waits under this unique key, if any."""
        waiting = self.filter(unique_key=unique_key, finished_at=None)
        return waiting.exclude(status=JobStatus.RUNNING).exclude(unique_key="")


class Job(models.Model):
    """One enqueued call of a task. The row is the truth; a backend carries only its id."""

    task = models.CharField(_("task"), max_length=MAX_TASK_NAME)
    queue_name = models.CharField(_("queue"), max_length=50, default="default")
    payload = models.JSONField(_("payload"), default=dict)
    status = models.CharField(_("status"), max_length=10, choices=JobStatus.choices)
    priority = models.SmallIntegerField(_("priority"), default=0, help_text=_("-100 to 100; the highest is run first"))

    run_after = models.DateTimeField(_("run after"))
    expires_at = models.DateTimeField(_("expires at"), null=True, help_text=_("no attempt starts after this moment"))
    enqueued_at = models.DateTimeField(_("enqueued at"))
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)

    attempt = models.PositiveIntegerField(
        _("attempt"), default=0, help_text=_("counts claims; every write of a worker is fenced by it")
    )
    failures = models.PositiveIntegerField(_("failures"), default=0, help_text=_("attempts that ended in an error"))
    crashes = models.PositiveIntegerField(
        _("crashes"), default=0, help_text=_("times the process died while this job ran alone")
    )
    suspect = models.BooleanField(
        _("suspect"), default=False, help_text=_("ran in a worker that died; runs alone until it ends")
    )
    worker_id = models.CharField(_("worker"), max_length=100, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True)
    result = models.JSONField(_("result"), null=True, help_text=_("what its handler returned"))
    cancel_requested = models.BooleanField(_("cancel requested"), default=False)
    reason = models.CharField(
        _("reason"), max_length=300, blank=True, help_text=_("why it waits again, died or was cancelled")
    )

    ordering_key = models.CharField(_("ordering key"), max_length=100, blank=True)
    unique_key = models.CharField(_("unique key"), max_length=100, blank=True)
    fairness_key = models.CharField(_("fairness key"), max_length=100, blank=True)
    scheduled_for = models.DateTimeField(_("scheduled for"), null=True, help_text=_("the point of its schedule's grid"))
    subject = models.CharField(_("subject"), max_length=100, blank=True)
    correlation_id = models.CharField(_("correlation id"), max_length=64, blank=True)
    trace_context = models.CharField(
        _("trace context"), max_length=55, blank=True, help_text=_("W3C traceparent of the span that enqueued it")
    )
    parent = models.ForeignKey(
        "self", models.SET_NULL, null=True, related_name="children", verbose_name=_("enqueued by"), db_index=False
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["succeeded", "dead", "cancelled"], finished_at__isnull=False)
                | Q(status__in=["scheduled", "ready", "blocked", "running"], finished_at__isnull=True),
                name="finished_at_says_whether_it_ended",
            ),
            models.UniqueConstraint(
                fields=["ordering_key"],
                condition=Q(status="running") & ~Q(ordering_key=""),
                name="one_running_per_ordering_key",
            ),
            models.UniqueConstraint(
                fields=["unique_key"],
                condition=Q(finished_at__isnull=True) & ~Q(status="running") & ~Q(unique_key=""),
                name="one_waiting_per_unique_key",
            ),
            models.UniqueConstraint(
                fields=["task", "scheduled_for"],
                condition=Q(scheduled_for__isnull=False),
                name="one_job_per_grid_point",
            ),
        ]
        indexes = [
            models.Index(
                "queue_name", "fairness_key", models.F("priority").desc(), "id",
                condition=Q(status="ready", suspect=False), name="job_claim",
            ),
            models.Index("id", condition=Q(status="ready", suspect=True), name="job_suspects"),
            models.Index("run_after", condition=Q(status="scheduled"), name="job_due"),
            models.Index("lease_until", condition=Q(status="running"), name="job_leases"),
            models.Index(
                "ordering_key", "id",
                condition=Q(finished_at__isnull=True) & ~Q(ordering_key=""),
                name="job_chain",
            ),
            # None leads with the status alone: a planner without statistics takes it for the best one everywhere.
            # (This one holds no unfinished jobs: only a look that asks for the end of a job can take it.)
            models.Index("status", "finished_at", condition=Q(finished_at__isnull=False), name="job_ended"),
            models.Index(models.F("id").desc(), condition=Q(status="dead"), name="job_dead"),
            models.Index(models.F("id").desc(), condition=Q(status="cancelled"), name="job_cancelled"),
            models.Index("subject", models.F("id").desc(), condition=~Q(subject=""), name="job_by_subject"),
            models.Index(
                "correlation_id", models.F("id").desc(), condition=~Q(correlation_id=""), name="job_by_correlation",
            ),
            models.Index("parent", condition=Q(parent__isnull=False), name="job_by_parent"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.task} #{self.pk}"


class AttemptOutcome(models.TextChoices):
    """How one execution ended."""

    SUCCEEDED = "succeeded", pgettext_lazy("attempt", "succeeded")
    FAILED = "failed", _("failed")  # the handler raised
    DEFERRED = "deferred", _("deferred")  # the handler asked to run later; nothing is charged
    TIMED_OUT = "timed_out", _("timed out")
    CRASHED = "crashed", _("crashed")  # the process died; charged only when the job ran alone
    RELEASED = "released", _("released")  # given back at shutdown; nothing is charged
    CANCELLED = "cancelled", pgettext_lazy("attempt", "cancelled")


class Attempt(models.Model):
    """One execution of a job, written when it ends."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="attempts", verbose_name=_("job"), db_index=False)
    number = models.PositiveIntegerField(_("attempt"))
    worker_id = models.CharField(_("worker"), max_length=100)
    due_at = models.DateTimeField(_("due at"), help_text=_("from when on it could have been started"))
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=AttemptOutcome.choices)
    error_class = models.CharField(_("error"), max_length=200, blank=True)
    message = models.TextField(_("message"), blank=True)
    traceback = models.TextField(_("traceback"), blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="one_row_per_attempt")]

    def __str__(self) -> str:
        return f"#{self.job_id}/{self.number}"


class Worker(models.Model):
    """A worker process that lives: what the screens and `/readyz` show. No claim depends on it."""

    worker_id = models.CharField(_("worker"), max_length=100, primary_key=True)
    queues = models.CharField(_("queues"), max_length=300)
    threads = models.PositiveIntegerField(_("threads"))
    running = models.PositiveIntegerField(_("running jobs"), default=0)
    memory_mib = models.PositiveIntegerField(_("memory (MiB)"), default=0)
    started_at = models.DateTimeField(_("started at"))
    seen_at = models.DateTimeField(_("last heartbeat"))

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.worker_id


class Queue(models.Model):
    """A lane. Its row appears when a worker first serves it, or when someone pauses it."""

    name = models.CharField(_("queue"), max_length=50, primary_key=True)
    paused_at = models.DateTimeField(_("paused at"), null=True, help_text=_("no job of it starts from then on"))
    paused_by = models.CharField(_("paused by"), max_length=150, blank=True)
    reason = models.CharField(_("reason"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")

    def __str__(self) -> str:
        return self.name


class Schedule(models.Model):
    """A periodic task: its row appears when the scheduler first sees its declaration. What is empty is as declared."""

    task = models.CharField(_("task"), max_length=MAX_TASK_NAME, primary_key=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    interval = models.DurationField(
        _("interval"), null=True, blank=True, validators=[MinValueValidator(timedelta(seconds=1))],
        help_text=_("[days] hours:minutes:seconds; instead of what the code declares"),
    )  # fmt: skip
    cron = models.CharField(
        _("cron"), max_length=100, blank=True, validators=[validate_cron],
        help_text=_("minute hour day month weekday; instead of what the code declares"),
    )  # fmt: skip
    time_zone = models.CharField(
        _("time zone"), max_length=100, blank=True, validators=[validate_time_zone],
        help_text=_("of the cron line, for example America/Sao_Paulo"),
    )  # fmt: skip
    last_point = models.DateTimeField(_("last point"), null=True, help_text=_("that a job was enqueued for"))
    next_point = models.DateTimeField(_("next point"), null=True)

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        constraints = [
            models.CheckConstraint(
                condition=Q(interval__isnull=True) | Q(cron=""), name="interval_or_cron_not_both",
                violation_error_message=_("Give an interval or a cron line, not both."),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.task


class Span(models.IntegerChoices):
    """How long a time a tally covers, in seconds."""

    EVER = 0, _("ever")
    MINUTE = 60, _("minute")
    HOUR = 3600, _("hour")


class Tally(models.Model):
    """How often something happened to a task's jobs in a span of time. Only `queueing.tally` writes here."""

    span = models.PositiveIntegerField(_("span"), choices=Span.choices)
    start = models.DateTimeField(_("start"))
    queue_name = models.CharField(_("queue"), max_length=50)
    task = models.CharField(_("task"), max_length=MAX_TASK_NAME)
    measure = models.CharField(_("measure"), max_length=20)
    bucket = models.CharField(_("bucket"), max_length=8, blank=True, help_text=_("of a histogram: its upper bound"))
    amount = models.FloatField(_("amount"))

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")
        constraints = [
            models.UniqueConstraint(
                fields=["span", "start", "queue_name", "task", "measure", "bucket"], name="one_tally_per_measure"
            )
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.measure} {self.bucket}".strip()


class TallyMark(models.Model):
    """How far the rows of a table have been counted into the tallies."""

    table = models.CharField(max_length=50, primary_key=True)
    counted = models.BigIntegerField(default=0)  # every row up to this id has been counted
    seen = models.BigIntegerField(default=0)  # the highest id at the last look
    seen_before = models.BigIntegerField(default=0)  # no transaction from this one on can add a row below `seen`
    looked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("tally mark")
        verbose_name_plural = _("tally marks")

    def __str__(self) -> str:
        return self.table
