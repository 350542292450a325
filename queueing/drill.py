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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from .clock import database_now
from .context import JobContext
from .errors import QueueError
from .models import FINISHED, Attempt, Job, JobStatus, Worker
from .service import QueueService
from .tasks import task

Process = subprocess.Popen[bytes]

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
        kills: how often a worker is killed. After that one is frozen, for longer than its lease.
        done: how many probes have ended.
        killed: how many kills there have been.
    """

    jobs: int
    kills: int
    done: int = 0
    killed: int = 0
    correlation_id: str = field(default_factory=lambda: f"drill-{uuid.uuid4().hex}")
    lease: float = field(default_factory=lambda: min(settings.QUEUE_LEASE_SECONDS, LEASE_SECONDS))
    _alive: list[Process] = field(default_factory=list)
    _interrupted: list[tuple[int, int, datetime]] = field(default_factory=list)  # job, attempt, when

    def __enter__(self) -> Drill:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in list(self._alive):
            self._end(worker)
        Job.objects.filter(correlation_id=self.correlation_id).delete()

    def run(self) -> Iterator[None]:
        """Hold the drill; yields whenever `done` or `killed` may have changed. Raises DrillImpossible.

        Two workers are there: one is killed, the other carries on, and a new one comes.
        """
        Job.objects.filter(queue_name=LANE, enqueued_at__lt=database_now() - LEFTOVERS).delete()
        probe = drill_probe.using(queue_name=LANE, correlation_id=self.correlation_id)
        victim, other = self._start_worker(), self._start_worker()
        rounds = self.kills + 1
        for number in range(rounds):
            yield from self._until_up(victim, other)
            before, after = self.jobs * number // rounds, self.jobs * (number + 1) // rounds
            QueueService.enqueue_many((probe, {}) for _ in range(after - before))
            yield from self._until_at_work(victim, after)
            if number < self.kills:
                self._kill(victim)
                victim, other = other, self._start_worker()
            else:
                yield from self._freeze(victim)
            yield from self._until_done(after)

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

    def _until_up(self, *workers: Process) -> Iterator[None]:
        yield from self._wait(
            lambda: all(Worker.objects.filter(worker_id__contains=f"-{worker.pid}-").exists() for worker in workers)
        )

    def _until_at_work(self, worker: Process, wanted: int) -> Iterator[None]:
        """Or until there is nothing left to work on."""
        yield from self._wait(lambda: self._running_in(worker).exists() or self._has_advanced(wanted - 1))

    def _until_done(self, wanted: int) -> Iterator[None]:
        """Until so many have ended, or none has for long: the rest is lost then."""
        advances = True
        while advances and self.done < wanted:
            before = self.done
            yield from self._wait(partial(self._has_advanced, before), give_up=False)
            advances = self.done > before

    def _wait(self, look: Callable[[], bool], *, give_up: bool = True) -> Iterator[None]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not look():
            if any(worker.poll() is not None for worker in self._alive):
                raise DrillImpossible(_("a worker of the drill has ended by itself; what it says is above"))
            if time.monotonic() > deadline:
                if give_up:
                    raise DrillImpossible(_("the workers of the drill do not work"))
                return
            yield
            time.sleep(0.02)

    def _kill(self, worker: Process) -> None:
        """Parent and child at once, as a lost machine would: nobody is left who knows, and the leases must run out."""
        self._end(worker)
        self.killed += 1
        moment = database_now()
        lost = self._running_in(worker).values_list("pk", "attempt")
        self._interrupted += [(pk, attempt, moment) for pk, attempt in lost]

    def _freeze(self, worker: Process) -> Iterator[None]:
        """Its jobs are taken over; then it goes on as if nothing had happened, and must not have any effect."""
        os.killpg(worker.pid, signal.SIGSTOP)
        until = time.monotonic() + self.lease + 3.0
        while time.monotonic() < until:
            time.sleep(0.1)
            yield
        os.killpg(worker.pid, signal.SIGCONT)
        time.sleep(1.0)  # or it would never come to do what it must not

    def _has_advanced(self, before: int) -> bool:
        self.done = self._probes().filter(status__in=FINISHED).count()
        return self.done > before

    def _recovery(self) -> Iterator[float]:
        for job_id, attempt, moment in self._interrupted:
            again = Attempt.objects.filter(job_id=job_id, number=attempt + 1).first()
            if again:
                yield (again.started_at - moment).total_seconds()

    def _probes(self) -> QuerySet[Job]:
        return Job.objects.filter(correlation_id=self.correlation_id, task=drill_probe.name)

    def _running_in(self, worker: Process) -> QuerySet[Job]:
        """The id of a worker holds the pid of its parent."""
        return self._probes().filter(status=JobStatus.RUNNING, worker_id__contains=f"-{worker.pid}-")

    def _start_worker(self) -> Process:
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
        self._alive.append(worker)
        return worker

    def _end(self, worker: Process) -> None:
        self._alive.remove(worker)
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
