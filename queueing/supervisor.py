"""Watches over the running jobs of one worker: renews their leases, tells them to stop, and watches the parent."""

from __future__ import annotations

import logging
import os
import resource
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from .clock import database_now, sql_time
from .context import JobContext
from .current import working_on
from .errors import JobCancelled, JobTimedOut, LeaseLost
from .models import JobStatus
from .models import Worker as WorkerRow
from .tally import tally
from .worker import Worker

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
FORGET_AFTER = timedelta(minutes=10)  # without a heartbeat


class Supervisor(threading.Thread):
    """One thread with a connection of its own, so that neither a slow handler nor a busy ledger delays a renewal."""

    def __init__(self, worker: Worker, *, parent_pid: int) -> None:
        super().__init__(name="supervisor", daemon=True)
        self.worker = worker
        self.parent_pid = parent_pid
        self.started_at = timezone.now()
        self.renew_every = settings.QUEUE_LEASE_SECONDS / 4
        self._renew_at = 0.0

    def run(self) -> None:
        while True:
            for context in list(self.worker.running.values()):
                self._check_time(context)
            if time.monotonic() >= self._renew_at:
                self._beat()
            self._tally()
            self._check_memory()
            if os.getppid() != self.parent_pid:
                self.parent_pid = os.getppid()
                logger.warning("the parent process is gone: draining")
                self.worker.stop(grace=settings.QUEUE_DRAIN_SECONDS)
            time.sleep(min(TICK_SECONDS, self.renew_every))

    def _check_time(self, context: JobContext) -> None:
        late = time.monotonic() - context.started - context.timeout
        if late > settings.QUEUE_HARD_TIMEOUT_GRACE_SECONDS and not context.given_up:
            with working_on(context.job):
                logger.error("the handler does not return: its attempt is given up")
            self.worker.recycle()  # first: the slot that is given up has no thread for another job
            self.worker.give_up(context, JobTimedOut())

    def _check_memory(self) -> None:
        if self.worker.max_memory and not self.worker.stopping and resident_mib() > self.worker.max_memory:
            logger.warning("more than %s MiB in use: draining for a fresh process", self.worker.max_memory)
            self.worker.recycle()

    def _beat(self) -> None:
        contexts = list(self.worker.running.values())
        asked = time.monotonic()
        try:
            self._renew(contexts, asked)
            self._renew_at = asked + self.renew_every
        except (DatabaseError, InterfaceError) as error:  # tried again soon; `JobContext` keeps its own count
            logger.warning("leases could not be renewed: %s", type(error).__name__)
            connection.close()

    def _tally(self) -> None:
        """Beside the renewals, and not in the ledger's thread: it takes no time from the jobs."""
        try:
            tally(database_now())
        except (DatabaseError, InterfaceError) as error:  # nothing is lost: what was not counted still is to be
            logger.info("the tallies must wait: %s", type(error).__name__)
            connection.close()

    def _renew(self, contexts: list[JobContext], asked: float) -> None:
        """All leases in one statement. Who is not among its rows has lost the job."""
        with transaction.atomic():
            now = database_now()
            held = self._held([context.job.pk for context in contexts], now)
            self._report(len(contexts), now)
        for context in contexts:
            key = (context.job.pk, context.job.attempt)
            if key in held:
                context.renewed = asked
                if held[key]:
                    context.interruption = context.interruption or JobCancelled()
            elif not context.completed:
                context.interruption = context.interruption or LeaseLost()

    def _held(self, ids: list[int], now: datetime) -> dict[tuple[int, int], bool]:
        """The (id, attempt) pairs that are still ours, each with whether its cancellation was asked for."""
        if not ids:
            return {}
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                UPDATE queueing_job SET lease_until = %s
                WHERE status = '{JobStatus.RUNNING}' AND worker_id = %s AND id IN ({", ".join(["%s"] * len(ids))})
                RETURNING id, attempt, cancel_requested
                """,  # noqa: S608  (placeholders only)
                [sql_time(now + self.worker.lease), self.worker.worker_id, *ids],
            )
            return {(row[0], row[1]): bool(row[2]) for row in cursor.fetchall()}

    def _report(self, running: int, now: datetime) -> None:
        """What the screens show of this process."""
        WorkerRow.objects.bulk_create(
            [
                WorkerRow(
                    worker_id=self.worker.worker_id,
                    queues=", ".join(self.worker.queue_names),
                    threads=self.worker.threads,
                    running=running,
                    memory_mib=resident_mib(),
                    started_at=self.started_at,
                    seen_at=now,
                )
            ],
            update_conflicts=True,
            unique_fields=["worker_id"],
            update_fields=["running", "memory_mib", "seen_at"],
        )
        WorkerRow.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()


def resident_mib() -> int:
    """What this process holds in memory now; where there is no /proc, the most that it ever held."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() >> 20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> 20 if sys.platform == "darwin" else peak >> 10  # bytes on macOS, KiB elsewhere (getrusage(2))
