"""Jobs of workers that are gone come back: every worker's loop does this by itself."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from .models import Job, JobStatus
from .settle import crash


def rescue_expired(now: datetime, *, limit: int = 100) -> int:
    """End the attempts whose leases ran out. Returns how many jobs came back (or died of it)."""
    return _rescue(Job.objects.filter(lease_until__lte=now).order_by("lease_until"), now, limit)


def rescue_worker(worker_id: str, now: datetime) -> int:
    """End the attempts of a worker that is known to be dead, without waiting for its leases."""
    return _rescue(Job.objects.filter(worker_id=worker_id).order_by("lease_until"), now, None)


def _rescue(jobs: QuerySet[Job], now: datetime, limit: int | None) -> int:
    """Row by row, each in a savepoint of its own: one that collides does not keep the others from coming back."""
    with transaction.atomic():
        lost = jobs.filter(status=JobStatus.RUNNING).select_for_update(
            skip_locked=connection.features.has_select_for_update_skip_locked
        )[:limit]
        return sum(crash(job, now=now) for job in lost)
