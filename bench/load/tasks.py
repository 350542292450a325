"""What the benchmarks have the worker do."""

from __future__ import annotations

import time

from django.contrib.auth.models import Group

from queueing.context import JobContext
from queueing.tasks import task


@task(queue_name="bench")
def noop() -> None:
    """Nothing: what is timed is the queue."""


@task(queue_name="bench")
def wait(seconds: float) -> None:
    """Waits as a call outside does, without a database connection."""
    time.sleep(seconds)


@task(queue_name="bench", takes_context=True)
def write(context: JobContext, number: int) -> None:
    """One write of the handler's own, in the transaction that ends the job."""
    with context.complete():
        Group.objects.create(name=f"bench {number}")
