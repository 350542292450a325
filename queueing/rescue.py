"""Jobs of workers that are gone come back: every worker's loop does this by itself."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import QuerySet

from .models import Job, JobStatus
from .promote import lock_ordering_keys
from .settle import crash

logger = logging.getLogger(__name__)


def rescue_expired(now: datetime, *, spare: str = "", limit: int = 100) -> int:
    """End the attempts whose leases ran out. Returns how many jobs came back (or died of it).

    Args:
        spare: the worker that asks. It lives: where the database was away for long, its jobs still run.
        limit: at most so many in one transaction.
    """
    return _rescue(Job.objects.filter(lease_until__lte=now).exclude(worker_id=spare), now, limit)


def rescue_worker(worker_id: str, now: datetime) -> int:
    """End the attempts of a worker that is known to be dead, without waiting for its leases."""
    return _rescue(Job.objects.filter(worker_id=worker_id), now, None)


def _rescue(jobs: QuerySet[Job], now: datetime, limit: int | None) -> int:
    """Row by row, each in a savepoint of its own: one that cannot be written does not keep the others from coming back.

    The first look locks nothing. The keys are locked before the rows, as everywhere: two never wait for each other.
    """
    running = jobs.filter(status=JobStatus.RUNNING)
    lost = dict(running.order_by("lease_until").values_list("pk", "ordering_key")[:limit])
    if not lost:
        return 0
    rescued = 0
    with transaction.atomic():
        lock_ordering_keys(lost.values())
        skip_locked = connection.features.has_select_for_update_skip_locked
        for job in running.filter(pk__in=lost).select_for_update(skip_locked=skip_locked):
            try:
                rescued += crash(job, now=now)
            except (DataError, IntegrityError):
                logger.exception("job %s (%s) cannot be taken back from its dead worker", job.pk, job.task)
    return rescued
