"""The ledger does not grow for ever: old jobs go, in small batches, each in a short transaction of its own."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from .clock import database_now
from .context import JobContext
from .models import Attempt, Job, JobStatus
from .periodic import periodic
from .tasks import task

BATCH = 500
REST_SECONDS = 0.02  # between two batches, for the writers that wait: SQLite's lock is not fair
RESERVE_SECONDS = 60  # the next run goes on where this one had no time left


@periodic(every=timedelta(hours=1))
@task(takes_context=True, queue_name="maintenance", timeout=timedelta(minutes=10))
def prune_jobs(context: JobContext) -> None:
    """Delete what ended long ago, with its attempts: `QUEUE_KEEP_SUCCEEDED_DAYS` and `QUEUE_KEEP_DEAD_DAYS`.

    No attempt is kept for longer than a dead job is: one that runs again and again for months has only its last ones.
    """
    now = database_now()
    recent = now - timedelta(days=settings.QUEUE_KEEP_SUCCEEDED_DAYS)
    dead_recent = now - timedelta(days=settings.QUEUE_KEEP_DEAD_DAYS)
    for status, before in ((JobStatus.SUCCEEDED, recent), (JobStatus.CANCELLED, recent), (JobStatus.DEAD, dead_recent)):
        while prune_batch(status, before=before) == BATCH:
            if not _may_go_on(context):
                return
    while prune_attempts(before=dead_recent) == BATCH:
        if not _may_go_on(context):
            return


def prune_batch(status: JobStatus, *, before: datetime) -> int:
    """Delete up to `BATCH` jobs that ended so before that moment, the first first. Returns how many there were.

    What they enqueued stays, and forgets who enqueued it.
    """
    old = Job.objects.filter(status=status, finished_at__lt=before).order_by("finished_at")
    with transaction.atomic():
        locked = old.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        ids = list(locked.values_list("pk", flat=True)[:BATCH])
        Job.objects.filter(pk__in=ids).only("pk").delete()
    return len(ids)


def prune_attempts(*, before: datetime) -> int:
    """Delete up to `BATCH` attempts that ended before that moment. Returns how many there were.

    An attempt is written when it ends, so the oldest ones have the lowest ids, and no index on the time is needed.
    """
    oldest = Attempt.objects.order_by("pk").values_list("pk", "finished_at")[:BATCH]
    ids = [pk for pk, finished_at in oldest if finished_at < before]
    Attempt.objects.filter(pk__in=ids).delete()
    return len(ids)


def _may_go_on(context: JobContext) -> bool:
    context.checkpoint()
    time.sleep(REST_SECONDS)
    return context.remaining() > RESERVE_SECONDS
