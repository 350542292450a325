"""Waiting jobs become claimable: those that have come due, and the next of a key when the one before it ends."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import connection
from django.db.models import Case, Min, Value, When

from .models import Job, JobStatus


def lock_ordering_keys(keys: Iterable[str]) -> None:
    """Hold these keys until the transaction ends, so that an enqueue and a promotion of one key never overlap.

    Without it a job could be stored as blocked while the last job before it ends, and stay blocked for ever. SQLite's
    IMMEDIATE transactions are alone anyway. Sorted, so that two transactions never wait for each other in a circle.
    """
    wanted = sorted({key for key in keys if key})
    if connection.vendor == "postgresql" and wanted:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(key, 0))"
                " FROM unnest(%s::text[]) WITH ORDINALITY AS k(key, n) ORDER BY n",
                [wanted],
            )


def promote_next(keys: Iterable[str], now: datetime) -> None:
    """Let the oldest unfinished job of each key go on, if it was blocked. The keys must be locked."""
    wanted = {key for key in keys if key}
    if not wanted:
        return
    heads = Job.objects.unfinished_of(wanted).order_by().values("ordering_key").annotate(head=Min("pk")).values("head")
    Job.objects.filter(pk__in=heads, status=JobStatus.BLOCKED).update(
        status=Case(When(run_after__gt=now, then=Value(JobStatus.SCHEDULED)), default=Value(JobStatus.READY))
    )


def promote_due(now: datetime, *, limit: int = 500) -> list[Job]:
    """Make scheduled jobs ready whose time has come, the longest due first.

    Returns those that were, without their payloads.

    Args:
        limit: at most so many in one transaction.
    """
    due = Job.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    due = due.filter(status=JobStatus.SCHEDULED, run_after__lte=now).order_by("run_after")
    jobs = list(due.only("pk", "queue_name")[:limit])
    if jobs:
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(status=JobStatus.READY)
    return jobs


def next_due() -> datetime | None:
    """When the next scheduled job comes due, by one look at an index."""
    scheduled = Job.objects.filter(status=JobStatus.SCHEDULED).order_by("run_after")
    return scheduled.values_list("run_after", flat=True).first()
