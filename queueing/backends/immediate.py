"""`immediate://`: runs a job in the process that enqueues it, right after the commit.

For tests; a system check refuses it elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from django.db import transaction

from queueing.claim import claim
from queueing.clock import database_now
from queueing.context import JobContext
from queueing.fairness import Fairness
from queueing.pause import paused_queues
from queueing.perform import perform
from queueing.registry import all_queue_names, get_task
from queueing.settle import fail, succeed

from .base import Backend

LEASE = timedelta(minutes=5)


class ImmediateBackend(Backend):
    """The ring runs the job, by the worker's own claim, execution and settle."""

    runs_in_worker = False

    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        run_ready_jobs()

    def listen(self, queue_names: Sequence[str], *, wake: Callable[[], None], until: Callable[[], bool]) -> None:
        raise NotImplementedError("the immediate backend has no worker")

    def check(self) -> None:
        """Always there."""


def run_ready_jobs() -> None:
    """Claim, run and settle in this thread until nothing is ready."""
    while True:
        with transaction.atomic():
            jobs = claim(
                queue_names=[name for name in all_queue_names() if name not in paused_queues()],
                limit=1,
                worker_id="immediate",
                lease=LEASE,
                now=database_now(),
                fairness=Fairness(),
                running=Counter(),
            )
        for job in jobs:
            context = JobContext(job, timeout=get_task(job.task).timeout.total_seconds())
            error = perform(context)
            with transaction.atomic():
                if error is not None:
                    fail(job, error, now=database_now())
                elif not context.completed:
                    succeed([job], now=database_now())
        if not jobs:
            return
