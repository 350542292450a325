"""A worker takes ready jobs: one statement bumps the attempt, writes the lease and gives the rows back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import connection

from .clock import sql_time
from .fairness import Fairness
from .models import Job, JobStatus

_READY = (
    "status = 'ready' AND NOT suspect AND queue_name = %s AND fairness_key = %s AND priority >= %s"
    " ORDER BY priority DESC, id LIMIT %s"
)
_SUSPECT = "status = 'ready' AND suspect{} ORDER BY id LIMIT 1"


def claim(
    *,
    queue_names: Sequence[str],
    limit: int,
    worker_id: str,
    lease: timedelta,
    now: datetime,
    fairness: Fairness,
    running: Counter[str],
) -> list[Job]:
    """Claim up to `limit` ready jobs, of the first queue first, of each queue by priority, tenants in turns, and age.

    A ready job is the oldest unfinished one of its ordering key, so a batch never holds two of one key; the unique
    index on running keys stands behind that. Rows that another worker is claiming are skipped, not waited for.
    """
    claimed: list[Job] = []
    for queue_name in queue_names:
        taken = running + Counter(job.fairness_key for job in claimed)
        for share in fairness.shares(queue_name, limit=limit - len(claimed), running=taken):
            which = [queue_name, share.fairness_key, share.lowest_priority, share.jobs]
            claimed += _claim(_READY, which, worker_id, now + lease, now)
    return claimed


def claim_suspect(
    *, worker_id: str, lease: timedelta, now: datetime, paused: Collection[str] = frozenset()
) -> list[Job]:
    """Claim the oldest job that ran in a worker that died: it is to run alone, whatever its queue, but a paused one."""
    elsewhere = f" AND queue_name NOT IN ({', '.join(['%s'] * len(paused))})" if paused else ""
    return _claim(_SUSPECT.format(elsewhere), [*paused], worker_id, now + lease, now)


def _claim(which: str, parameters: list[object], worker_id: str, lease_until: datetime, now: datetime) -> list[Job]:
    skip_locked = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    jobs = Job.objects.raw(
        f"""
        WITH picked AS MATERIALIZED (SELECT id FROM queueing_job WHERE {which} {skip_locked})
        UPDATE queueing_job
        SET status = '{JobStatus.RUNNING}', attempt = attempt + 1, worker_id = %s, lease_until = %s, started_at = %s
        WHERE id IN (SELECT id FROM picked)
        RETURNING *
        """,  # noqa: S608  (every part is a constant of this file)
        [*parameters, worker_id, sql_time(lease_until), sql_time(now)],
    )
    return sorted(jobs, key=lambda job: (-job.priority, job.pk))
