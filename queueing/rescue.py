"""Jobs of workers that are gone come back: every worker's loop does this by itself."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import DataError, IntegrityError, transaction
from django.db.models import QuerySet

from .models import Job, JobStatus
from .promote import lock_ordering_keys
from .settle import crash

logger = logging.getLogger(__name__)


def rescue_expired(now: datetime, *, spare: str = "", limit: int = 100) -> int:
    """End the attempts whose leases ran out. Returns how many jobs came back (or died of it).

    Args:
        spare: the worker that asks. It lives: where the database was away for long, its jobs still run.
        limit: at most so many in one go.
    """
    return _rescue(Job.objects.filter(lease_until__lte=now).exclude(worker_id=spare), now, limit)


def rescue_worker(worker_id: str, now: datetime) -> int:
    """End the attempts of a worker that is known to be dead, without waiting for its leases."""
    return _rescue(Job.objects.filter(worker_id=worker_id), now, None)


def _rescue(jobs: QuerySet[Job], now: datetime, limit: int | None) -> int:
    """One by one, each in a transaction of its own: one that cannot be written does not hold up the others.

    The first look locks nothing. Then the key is locked before the row, as everywhere, and never two keys at a time: a
    rescuer and those who still write never wait for each other in a circle.
    """
    running = jobs.filter(status=JobStatus.RUNNING)
    rescued = 0
    for pk, ordering_key in list(running.order_by("lease_until").values_list("pk", "ordering_key")[:limit]):
        try:
            with transaction.atomic():
                lock_ordering_keys([ordering_key])
                for job in running.filter(pk=pk).select_for_update():
                    rescued += crash(job, now=now)
        except (DataError, IntegrityError):
            logger.exception("job %s cannot be taken back from its dead worker", pk, extra={"job_id": pk})
    return rescued
