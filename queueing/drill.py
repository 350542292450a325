"""A fire drill on the queue as it is configured: jobs that prove themselves, while their worker is killed.

The effect of a probe is a row that it enqueues in the transaction that ends it. So a probe whose work was lost has no
such row, and one that was completed twice has two. That it was begun twice is no fault: that is what a retry is.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, QuerySet

from .clock import database_now
from .context import JobContext
from .errors import QueueError
from .models import FINISHED, Attempt, Job, JobStatus
from .service import QueueService
from .tasks import task

LANE = "drill"
THREADS = 8
LEASE_SECONDS = 5.0  # at most, of the drill's own workers: a dead one is not waited for longer
PROBE_SECONDS = 0.1  # how long a probe pretends to call someone
NEVER = timedelta(days=365)  # effects wait for it; the drill deletes them long before
PATIENCE_SECONDS = 60.0  # without any progress, until what is not done counts as lost
LEFTOVERS = timedelta(hours=1)  # of a drill that was killed itself


class DrillImpossible(QueueError):
    """The drill cannot be held."""


@task
def drill_effect() -> None:
    """What a probe has done. Its row is all that there is to it: it is never run."""


@task(takes_context=True, timeout=timedelta(seconds=30))
def drill_probe(context: JobContext) -> None:
    """Takes a moment, and has its effect in the transaction that ends it."""
    with context.outside():
        time.sleep(PROBE_SECONDS)
    with context.complete():
        drill_effect.using(queue_name=LANE, run_after=NEVER).enqueue()


@dataclass(frozen=True, slots=True)
class Result:
    """
    Attributes:
        jobs: how many were enqueued.
        executions: how often they were begun.
        lost: those that never had their effect.
        duplicated: those that had it twice.
        recovery: for each job that a kill interrupted, the seconds until it ran again.
    """

    jobs: int
    executions: int
    lost: int
    duplicated: int
    recovery: list[float]

    @property
    def passed(self) -> bool:
        return not (self.lost or self.duplicated)

    @property
    def slowest(self) -> float:
        return max(self.recovery, default=0.0)

    @property
    def median(self) -> float:
        return statistics.median(self.recovery) if self.recovery else 0.0


@dataclass(slots=True)
class Drill:
    """Use it as a context: it ends its workers and deletes its rows, whatever happens.

    Attributes:
        jobs: how many probes.
        kills: how often the worker is killed. After that it is frozen once, for longer than its lease.
        done: how many probes have ended.
        killed: how many kills there have been.
    """

    jobs: int
    kills: int
    done: int = 0
    killed: int = 0
    correlation_id: str = field(default_factory=lambda: f"drill-{uuid.uuid4().hex}")
    lease: float = field(default_factory=lambda: min(settings.QUEUE_LEASE_SECONDS, LEASE_SECONDS))
    _workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _interrupted: list[tuple[int, int, datetime]] = field(default_factory=list)  # job, attempt, when

    def __enter__(self) -> Drill:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            _kill(worker)
        Job.objects.filter(correlation_id=self.correlation_id).delete()

    def run(self) -> Iterator[None]:
        """Hold the drill; yields whenever `done` or `killed` may have changed. Raises DrillImpossible."""
        Job.objects.filter(queue_name=LANE, enqueued_at__lt=database_now() - LEFTOVERS).delete()
        probe = drill_probe.using(queue_name=LANE, correlation_id=self.correlation_id)
        worker = self._start_worker()
        rounds = self.kills + 1
        for number in range(rounds):
            before, after = self.jobs * number // rounds, self.jobs * (number + 1) // rounds
            QueueService.enqueue_many((probe, {}) for _ in range(after - before))
            yield from self._until((2 * before + after) // 3)
            if number < self.kills:
                self._kill_at_work(worker)
                self.killed += 1
                worker = self._start_worker()
            else:
                yield from self._freeze(worker)
            yield from self._until(after)

    def result(self) -> Result:
        probes = self._probes().annotate(effects=Count("children"))
        effects = list(probes.values_list("status", "effects"))
        return Result(
            jobs=self.jobs,
            executions=sum(self._probes().values_list("attempt", flat=True)),
            lost=self.jobs - sum(status == JobStatus.SUCCEEDED and count > 0 for status, count in effects),
            duplicated=sum(count > 1 for _, count in effects),
            recovery=list(self._recovery()),
        )

    def _until(self, wanted: int) -> Iterator[None]:
        """Until so many have ended, or nothing happens any more."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.done < wanted and time.monotonic() < deadline:
            time.sleep(0.05)
            done = self._probes().filter(status__in=FINISHED).count()
            if done > self.done:
                self.done, deadline = done, time.monotonic() + PATIENCE_SECONDS
            if self._workers[-1].poll() is not None:
                raise DrillImpossible("the worker of the drill has ended by itself; what it says is above")
            yield

    def _freeze(self, worker: subprocess.Popen[bytes]) -> Iterator[None]:
        """Its jobs are taken over; then it goes on as if nothing had happened, and must not have any effect."""
        os.killpg(worker.pid, signal.SIGSTOP)
        self._start_worker()
        until = time.monotonic() + self.lease + 3.0
        while time.monotonic() < until:
            time.sleep(0.1)
            yield
        os.killpg(worker.pid, signal.SIGCONT)
        time.sleep(1.0)  # or it would never come to do what it must not

    def _kill_at_work(self, worker: subprocess.Popen[bytes]) -> None:
        """Parent and child at once, as a lost machine would: nobody is left who knows, and the leases must run out."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._running().exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        _kill(worker)
        moment = database_now()
        self._interrupted += [(pk, attempt, moment) for pk, attempt in self._running().values_list("pk", "attempt")]

    def _recovery(self) -> Iterator[float]:
        for job_id, attempt, moment in self._interrupted:
            again = Attempt.objects.filter(job_id=job_id, number=attempt + 1).first()
            if again:
                yield (again.started_at - moment).total_seconds()

    def _probes(self) -> QuerySet[Job]:
        return Job.objects.filter(correlation_id=self.correlation_id, task=drill_probe.name)

    def _running(self) -> QuerySet[Job]:
        return self._probes().filter(status=JobStatus.RUNNING)

    def _start_worker(self) -> subprocess.Popen[bytes]:
        """`rqworker`, as an operator starts it, for the drill's lane alone."""
        environment = os.environ | {
            "QUEUE_LEASE_SECONDS": str(self.lease),
            "LOG_LEVEL": "ERROR",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        worker = subprocess.Popen(  # noqa: S603  (our own command)
            [sys.executable, "-m", "django", "rqworker", LANE, "--threads", str(THREADS)],
            env=environment,
            start_new_session=True,
        )
        self._workers.append(worker)
        return worker


def _kill(worker: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
