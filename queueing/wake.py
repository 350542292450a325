"""What waits for a later moment is run now: the reason to wait is gone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from django.db import transaction

from .backends import get_backend
from .clock import database_now
from .models import Job, JobStatus
from .promote import lock_ordering_keys

BATCH = 500  # ordering keys in one statement


def wake(ordering_keys: Iterable[str]) -> int:
    """Make the scheduled jobs of these ordering keys ready, in one transaction. Returns how many there were."""
    keys, woken = sorted(set(ordering_keys)), 0
    with transaction.atomic():
        lock_ordering_keys(keys)
        now = database_now()
        for start in range(0, len(keys), BATCH):
            jobs = Job.objects.unfinished_of(keys[start : start + BATCH]).filter(status=JobStatus.SCHEDULED)
            by_queue: dict[str, list[int]] = {}
            for name, pk in jobs.select_for_update().values_list("queue_name", "pk"):
                by_queue.setdefault(name, []).append(pk)
            woken += jobs.update(status=JobStatus.READY, run_after=now)
            for name, ids in by_queue.items():
                transaction.on_commit(partial(get_backend().ring, name, ids))
    return woken
