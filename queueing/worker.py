"""The only consumer: claims ready jobs, runs them in threads, and ends their attempts in batches.

One thread owns the ledger. Each of its turns is one transaction: end what has finished, promote what is due, claim
what fits.
The threads that run handlers only run handlers, so a job that needs no database costs no connection.
"""

from __future__ import annotations

import logging
import os
import queue
import random
import socket
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection, transaction
from django.db.models import QuerySet

from .claim import claim, claim_suspect
from .clock import database_now
from .context import JobContext
from .current import working_on
from .errors import Interrupted, Released, UnknownTask
from .fairness import Fairness
from .models import Job, JobStatus
from .pause import Lanes
from .perform import perform
from .promote import lock_ordering_keys, next_due, promote_due
from .registry import all_queue_names, get_task
from .rescue import rescue_expired, rescue_worker
from .settle import fail, succeed
from .tally import count_lost

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # how long an idle worker trusts the doorbell before it looks at the ledger by itself
RESCUE_SECONDS = 1.0  # between two looks for jobs whose workers are gone
LAST_TRY_SECONDS = 5.0  # how long a worker that must end waits for a database that is away
AHEAD_SECONDS = 0.03  # how long a claimed job may wait for a thread, if it is as short as the last ones
RECYCLED = 3  # exit code of a worker that asks for a fresh process


def new_worker_id() -> str:
    """Fresh at every start, so that a restarted process is never taken for the one that held a lease."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


@dataclass(slots=True)
class Finished:
    """A handler has returned (`error` is None) or raised."""

    context: JobContext
    error: BaseException | None
    seconds: float  # that it ran


class Worker:
    """Claims and runs jobs until it is told to stop. `run()` belongs to one thread; `wake()` and `stop()` to any."""

    def __init__(
        self,
        *,
        worker_id: str,
        queue_names: Sequence[str] = (),
        threads: int = 1,
        max_jobs: int = 0,
        max_memory: int = 0,
        only_suspects: bool = False,
        until_idle: bool = False,
        on_suspects: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            queue_names: the lanes to serve, the first one first; none means every declared one.
            threads: how many jobs run at once.
            max_jobs: ask for a fresh process after so many; 0: never.
            max_memory: ask for a fresh process beyond so many MiB; 0: never. The supervisor looks at it.
            only_suspects: run the jobs of workers that died, one at a time.
            until_idle: stop when nothing is ready.
            on_suspects: called when such jobs wait, which this worker must not run beside others.
        """
        self.worker_id = worker_id
        self.queue_names = list(queue_names) or all_queue_names()
        self.threads = 1 if only_suspects else threads
        self.max_jobs = max_jobs
        self.max_memory = max_memory
        self.only_suspects = only_suspects
        self.until_idle = until_idle
        self.on_suspects = on_suspects
        self.lease = timedelta(seconds=settings.QUEUE_LEASE_SECONDS)
        self.exit_code = 1  # until the loop has ended in order
        self.running: dict[tuple[int, int], JobContext] = {}  # by job and attempt: a lost job may come back to us
        self._fairness = Fairness(cap=settings.QUEUE_FAIRNESS_CAP)
        self._lanes = Lanes(self.queue_names)
        self._finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._ended: list[Finished] = []  # what the ledger has yet to be told
        self._seconds: list[float] = []  # how long the jobs ran that ended since the last turn
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._release_at = float("inf")
        self._rescue_at = 0.0
        self._ahead = 0
        self._claimed = 0
        self._asks_for_fresh_process = False
        self._pool = ThreadPoolExecutor(max_workers=self.threads, thread_name_prefix="job")

    def wake(self) -> None:
        """There may be work."""
        self._awake.set()

    def stop(self, *, grace: float) -> None:
        """Claim nothing more; give back what still runs after `grace` seconds. The shortest grace ever given counts."""
        self._release_at = min(self._release_at, time.monotonic() + grace)
        self._stopping.set()
        self.wake()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def rest(self, seconds: float) -> None:
        """Do nothing for so long, unless told to stop."""
        self._stopping.wait(seconds)

    def recycle(self) -> None:
        """Claim nothing more, and end when all jobs have: a handler that never returns keeps one of its threads."""
        self._asks_for_fresh_process = True
        self.stop(grace=float("inf"))

    def give_up(self, context: JobContext, error: Interrupted) -> None:
        """End an attempt whose handler does not return. What it still writes is refused by the fence."""
        context.interruption, context.given_up = error, True
        self._finished.put(Finished(context, error, time.monotonic() - context.started))
        self.wake()

    def run(self, dead_worker_id: str | None = None) -> None:
        """Work until stopped and drained. A database that is away is waited for, not died of.

        Args:
            dead_worker_id: a worker that is known to be dead; its jobs are taken back first.
        """
        patience = 0.1
        while True:
            try:
                if dead_worker_id:
                    rescue_worker(dead_worker_id, database_now())
                    dead_worker_id = None
                busy = self._turn()
                if not self.running and (self.stopping or (self.until_idle and not busy)):
                    break
                if not busy:
                    self._sleep()
                patience = 0.1
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the ledger cannot be reached: %s", type(error).__name__)
                connection.close()
                if self.stopping and time.monotonic() >= self._release_at + LAST_TRY_SECONDS:
                    break
                time.sleep(patience * (0.5 + random.random()))  # noqa: S311  (jitter)
                patience = min(patience * 2, 5.0)
        connection.close()
        self.exit_code = RECYCLED if self._asks_for_fresh_process else 0

    def _turn(self) -> bool:
        """One look at everything. Returns whether the next one should follow at once."""
        self._awake.clear()
        self._collect()
        self._rescue()
        if not self._ended and not self._work_waits():
            return False
        with transaction.atomic():
            now = database_now()
            self._settle(now)
            jobs = self._claim(now)
        for finished in self._ended:
            del self.running[_key(finished.context)]
        self._ended.clear()
        self._look_ahead()
        for job in jobs:
            self._start(job)
        self._claimed += len(jobs)
        if self.max_jobs and self._claimed >= self.max_jobs:
            self.recycle()
        return bool(jobs)

    def _collect(self) -> None:
        """Gather what has ended: each attempt once, also when its handler returns after it was given up.

        What its own handler has completed needs nothing more.
        """
        if time.monotonic() >= self._release_at:
            for context in list(self.running.values()):
                self.give_up(context, Released())
        ended = {id(finished.context) for finished in self._ended}
        while not self._finished.empty():
            finished = self._finished.get()
            context = finished.context
            if self.running.get(_key(context)) is not context or id(context) in ended:
                continue
            self._seconds.append(finished.seconds)
            if context.completed:
                del self.running[_key(context)]
            else:
                self._ended.append(finished)
                ended.add(id(context))

    def _rescue(self) -> None:
        """Take back what other workers have lost, and have it run alone: soon also where this worker is never idle."""
        if self.stopping or time.monotonic() < self._rescue_at:
            return
        self._rescue_at = time.monotonic() + RESCUE_SECONDS
        rescue_expired(database_now(), spare=self.worker_id)
        if not self.only_suspects and self._suspects().exists():
            self.on_suspects()

    def _suspects(self) -> QuerySet[Job]:
        """Those that may run, if alone."""
        suspects = Job.objects.filter(status=JobStatus.READY, suspect=True)
        return suspects.exclude(queue_name__in=self._lanes.paused())

    def _work_waits(self) -> bool:
        """A look without a write lock, so that an idle worker does not stand in the way of those who write."""
        if not self._has_use_for_more():
            return False
        if self.only_suspects:
            ready = self._suspects()
        else:
            ready = Job.objects.filter(status=JobStatus.READY, suspect=False, queue_name__in=self._lanes.open())
        due = Job.objects.filter(status=JobStatus.SCHEDULED, run_after__lte=database_now())
        return ready.exists() or due.exists()

    def _settle(self, now: datetime) -> None:
        lock_ordering_keys(finished.context.job.ordering_key for finished in self._ended)  # all at once: see there
        jobs = [finished.context.job for finished in self._ended if finished.error is None]
        ours = succeed(jobs, now=now)
        lost = [job for job in jobs if job.pk not in ours]
        for finished in self._ended:
            if finished.error is not None and not self._fail(finished.context.job, finished.error, now):
                lost.append(finished.context.job)
        for job in lost:
            with working_on(job):
                logger.warning("the attempt ended after its lease was lost; nothing of it was kept")
            count_lost(job, now)

    def _fail(self, job: Job, error: BaseException, now: datetime) -> bool:
        try:
            return fail(job, error, now=now)
        except (DataError, IntegrityError):  # its lease runs out, then it runs alone: the others' ends are not held up
            with working_on(job):
                logger.exception("the end of the attempt cannot be written")
            return True

    def _claim(self, now: datetime) -> list[Job]:
        promote_due(now)
        room = self._room() + len(self._ended)
        if self.max_jobs:
            room = min(room, self.max_jobs - self._claimed)
        if self.stopping or not room:
            return []
        if self.only_suspects:
            return claim_suspect(worker_id=self.worker_id, lease=self.lease, now=now, paused=self._lanes.paused())
        return claim(
            queue_names=self._lanes.open(),
            limit=room,
            worker_id=self.worker_id,
            lease=self.lease,
            now=now,
            fairness=self._fairness,
            running=Counter(context.job.fairness_key for context in self.running.values()),
        )

    def _start(self, job: Job) -> None:
        context = JobContext(job, timeout=_timeout(job), lease=self.lease.total_seconds())
        self.running[_key(context)] = context
        self._pool.submit(self._perform, context)

    def _room(self) -> int:
        return max(self.threads + self._ahead - len(self.running), 0)

    def _has_use_for_more(self) -> bool:
        """Not while half of what was claimed ahead still waits for a thread: a turn then claims many jobs at once."""
        return not self.stopping and self._room() > self._ahead // 2

    def _look_ahead(self) -> None:
        """Claim more jobs than there are threads, as many as will start at once: short ones then share a turn.

        By how long the last ones ran, not by how many ended: jobs end in crowds, and what is claimed for nothing is
        kept from the other workers, and runs alone if this one dies.
        """
        alone = self.only_suspects or not self._seconds
        self._ahead = 0 if alone else int(self.threads * AHEAD_SECONDS / max(statistics.median(self._seconds), 0.001))
        self._seconds.clear()

    def _perform(self, context: JobContext) -> None:
        context.started = time.monotonic()
        error = perform(context)
        self._finished.put(Finished(context, error, time.monotonic() - context.started))
        self.wake()

    def _sleep(self) -> None:
        """Until a ring, the end of a job, the next due job, or the poll, whichever comes first."""
        seconds = POLL_SECONDS
        if self._has_use_for_more():
            due = next_due()
            if due:
                seconds = min(seconds, max((due - database_now()).total_seconds(), 0.0))
        if self.stopping:
            seconds = min(seconds, max(self._release_at - time.monotonic(), 0.0))
        self._awake.wait(seconds)


def _key(context: JobContext) -> tuple[int, int]:
    return context.job.pk, context.job.attempt


def _timeout(job: Job) -> float:
    """Seconds. An unknown task is dead as soon as it is looked up."""
    try:
        return get_task(job.task).timeout.total_seconds()
    except UnknownTask:
        return 1.0
