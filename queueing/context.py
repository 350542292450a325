"""What a running job may ask and do: look whether it should stop, and finish together with its own writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import connections, transaction

from .clock import database_now
from .errors import Interrupted, JobCancelled, JobTimedOut, LeaseLost
from .models import Job, JobStatus
from .settle import succeed


@dataclass(slots=True)
class JobContext:
    """Given to the handlers of tasks declared with `takes_context=True`."""

    job: Job
    timeout: float  # seconds that the attempt may take
    lease: float = float("inf")  # seconds; without a supervisor that renews it, none
    started: float = field(default_factory=time.monotonic)
    renewed: float = field(default_factory=time.monotonic)  # when the lease was last known to be ours
    interruption: Interrupted | None = None  # set by the supervisor, raised at the next checkpoint
    given_up: bool = False  # the attempt was ended without its handler, which still runs
    completed: bool = False

    def remaining(self) -> float:
        """Seconds left until the task's timeout: the most that a client may be told to wait.

        Raises JobTimedOut when none are left.
        """
        left = self.started + self.timeout - time.monotonic()
        if left <= 0:
            raise JobTimedOut
        return left

    def stop_if_interrupted(self) -> None:
        """Raises what the supervisor has found, or LeaseLost after two thirds of a lease that nobody could renew."""
        if self.interruption is None and time.monotonic() - self.renewed > self.lease * 2 / 3:
            self.interruption = LeaseLost()
        if self.interruption:
            raise self.interruption

    def checkpoint(self) -> None:
        """Return when the job may go on. Raises LeaseLost, JobTimedOut or JobCancelled when it must stop."""
        self.stop_if_interrupted()
        self.remaining()
        row = Job.objects.filter(pk=self.job.pk, attempt=self.job.attempt, status=JobStatus.RUNNING)
        cancelled = row.values_list("cancel_requested", flat=True).first()
        if cancelled is None:
            raise LeaseLost
        if cancelled:
            raise JobCancelled

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """One transaction for writes that count only while the job is ours.

        The job's row stays locked until the commit, so it cannot be given to another worker in between. Raises
        LeaseLost, and rolls the writes back, when the job is not ours any more.
        """
        with transaction.atomic(durable=True):
            yield
            self.stop_if_interrupted()
            row = Job.objects.select_for_update().filter(
                pk=self.job.pk, attempt=self.job.attempt, status=JobStatus.RUNNING
            )
            if not row.exists():
                raise LeaseLost

    @contextmanager
    def complete(self) -> Iterator[None]:
        """One transaction for the handler's own writes and the end of the job: both happen, or neither.

        Raises LeaseLost, and rolls everything back, when the job is no longer ours.
        """
        with transaction.atomic(durable=True):
            yield
            self.stop_if_interrupted()
            if not succeed([self.job], now=database_now()):
                raise LeaseLost
        self.completed = True

    @contextmanager
    def outside(self) -> Iterator[float]:
        """Wraps a call to the outside world: gives this thread's database connections back first.

        Yields the seconds that the call may take.

        Raises RuntimeError inside a transaction: it would be held open, with its locks, as long as the other likes.
        """
        for connection in connections.all(initialized_only=True):
            if connection.in_atomic_block:
                raise RuntimeError("a call to the outside must not be made inside a transaction")
            connection.close()
        self.stop_if_interrupted()
        yield self.remaining()
