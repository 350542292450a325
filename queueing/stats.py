"""What stands in the queues now: looked up by indexes and capped, so that a million rows cost what ten thousand do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Min, Sum

from .measures import Measure
from .models import AttemptOutcome, Job, JobStatus, Queue, Span, Tally, Worker
from .pause import paused_queues
from .registry import all_queue_names

CAP = 10_000  # rows that one look counts; a number that reaches it means "so many or more"
COUNTED = (JobStatus.SCHEDULED, JobStatus.READY, JobStatus.BLOCKED, JobStatus.RUNNING, JobStatus.DEAD)


@dataclass(frozen=True, slots=True)
class QueueStats:
    """One queue.

    Attributes:
        jobs: how many there are by status, of those in COUNTED; CAP stands for any number from there on.
        oldest_ready: seconds that the longest due of the first CAP ready jobs has been due for; None without any.
        rate: attempts that ended, per second, in the last one to two minutes.
        workers: processes that serve it.
        paused: whether it rests.
    """

    name: str
    jobs: dict[JobStatus, int]
    oldest_ready: float | None
    rate: float
    workers: int
    paused: bool


def queue_stats(now: datetime) -> list[QueueStats]:
    """Every queue that is declared, was ever served, or holds jobs, by name."""
    jobs, oldest = _jobs(now)
    rates, serving, paused = _rates(now), _serving(now), paused_queues()
    names = {*all_queue_names(), *paused, *serving, *(name for name, _ in jobs)}
    return [
        QueueStats(
            name=name,
            jobs={status: jobs[name, status] for status in COUNTED},
            oldest_ready=oldest.get(name),
            rate=rates.get(name, 0.0),
            workers=serving[name],
            paused=name in paused,
        )
        for name in sorted(names)
    ]


def living_workers(now: datetime) -> list[Worker]:
    """Those seen within a lease: as long as a worker may be silent before its jobs are taken from it."""
    return list(Worker.objects.filter(seen_at__gte=now - timedelta(seconds=settings.QUEUE_LEASE_SECONDS)))


def _jobs(now: datetime) -> tuple[Counter[tuple[str, JobStatus]], dict[str, float]]:
    """Jobs by queue and status, and by queue how long the oldest ready one has been due, in the order of indexes."""
    found: Counter[tuple[str, JobStatus]] = Counter()
    for status, order in (
        (JobStatus.SCHEDULED, "run_after"),
        (JobStatus.RUNNING, "lease_until"),
        (JobStatus.DEAD, "-id"),
    ):
        names = Job.objects.filter(status=status).order_by(order).values_list("queue_name", flat=True)[:CAP]
        found.update((name, status) for name in names)
    keyed = Job.objects.filter(finished_at=None).exclude(ordering_key="").order_by("ordering_key", "id")
    found.update(
        (name, JobStatus.BLOCKED)
        for name, status in keyed.values_list("queue_name", "status")[:CAP]
        if status == JobStatus.BLOCKED
    )
    suspects = Job.objects.filter(status=JobStatus.READY, suspect=True).order_by("id")
    since: dict[str, datetime] = {}
    for name, due in suspects.values_list("queue_name", "run_after")[:CAP]:
        found[name, JobStatus.READY] += 1
        since[name] = min(since.get(name, due), due)
    for name in _names():
        ready = Job.objects.filter(status=JobStatus.READY, suspect=False, queue_name=name)
        row = ready.order_by("fairness_key", "-priority", "id")[:CAP].aggregate(n=Count("pk"), due=Min("run_after"))
        if row["n"]:
            found[name, JobStatus.READY] = min(found[name, JobStatus.READY] + row["n"], CAP)
            since[name] = min(since.get(name, row["due"]), row["due"])
    return found, {name: max((now - due).total_seconds(), 0.0) for name, due in since.items()}


def _names() -> set[str]:
    """The queues that may hold ready jobs: whatever was enqueued for is tallied seconds later."""
    tallied = Tally.objects.filter(span=Span.EVER, measure=Measure.ENQUEUED).values_list("queue_name", flat=True)
    return {*all_queue_names(), *Queue.objects.values_list("name", flat=True), *tallied}


def _rates(now: datetime) -> dict[str, float]:
    minute = now.replace(second=0, microsecond=0)
    seconds = (now - minute).total_seconds() + 60
    ended = Tally.objects.filter(
        span=Span.MINUTE, start__gte=minute - timedelta(minutes=1), measure__in=AttemptOutcome.values
    )
    return {row["queue_name"]: row["n"] / seconds for row in ended.values("queue_name").annotate(n=Sum("amount"))}


def _serving(now: datetime) -> Counter[str]:
    return Counter(name for worker in living_workers(now) for name in worker.queues.split(", "))
