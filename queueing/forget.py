"""Deletes what the ledger holds of a subject, whatever state it is in: for people who want to be forgotten."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection, transaction

from .models import Attempt, Job
from .promote import lock_ordering_keys


def forget(subjects: Collection[str]) -> int:
    """Delete the jobs of these subjects, with their attempts. Returns how many jobs there were.

    An attempt that runs meanwhile loses its fence: nothing of it is kept.
    """
    wanted = Job.objects.filter(subject__in=subjects).exclude(subject="")
    with transaction.atomic():
        lock_ordering_keys(wanted.exclude(ordering_key="").values_list("ordering_key", flat=True))
        jobs = list(wanted.order_by("pk").select_for_update().values_list("pk", flat=True))
        size = connection.features.max_query_params or len(jobs) or 1
        for start in range(0, len(jobs), size):
            batch = jobs[start : start + size]
            Attempt.objects.filter(job__in=batch).delete()
            Job.objects.filter(parent__in=batch).update(parent=None)
            Job.objects.filter(pk__in=batch)._raw_delete(connection.alias)  # what hangs on them is gone already
    return len(jobs)
