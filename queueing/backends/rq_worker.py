"""A worker process as RQ knows it: registered, alive, and listening to rings. It runs nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from django.db import Error, close_old_connections
from redis import Redis
from redis.client import Pipeline
from rq.job import JobStatus as RQStatus
from rq.utils import as_text, now
from rq.worker import BaseWorker, WorkerStatus

from queueing.models import Job, JobStatus

from .rq_rings import HEARD_SECONDS, Ring, RingQueue

logger = logging.getLogger(__name__)

REPORT_SECONDS = 1.0
MAX_DIGITS = 19  # of an id
LONGEST_REST_SECONDS = 1.0


class RingWorker(BaseWorker):
    """Hears rings, and keeps RQ's books of them and of itself.

    RQ's own cost of an execution is 2 ms, in a process that has better to do, so the books are kept for many rings at
    once, in a lull: `hear` until it hears nothing, then `enter`.
    """

    job_class = Ring
    queue_class = RingQueue

    def __init__(self, queue_names: Iterable[str], *, name: str, connection: Redis) -> None:
        # RQ forgets a worker that is silent for a minute more than its TTL.
        super().__init__(list(queue_names), name=name, connection=connection, worker_ttl=1, maintenance_interval=60)
        self.heard: dict[int, str] = {}  # queue names by job ids
        self.refused = 0
        self._report_at = 0.0
        self._rest = 0.0

    @property
    def connection_timeout(self) -> int:
        """Seconds after which Redis is taken for hanging: what blocks, blocks for less."""
        return 1

    def hear(self, seconds: float) -> bool:
        """Wait for one ring. Returns whether one came.

        BLPOP on all lanes at once, which forgets what it gives: a ring that dies with its worker is not missed, because
        the ledger is looked at anyway. BLMOVE would keep it, for one lane only, and for nobody.
        """
        found = self.connection.blpop(self.queue_keys(), timeout=seconds)
        if not found:
            return False
        key, entry = found
        if entry.isdigit() and len(entry) <= MAX_DIGITS:
            self.heard[int(entry)] = as_text(key).removeprefix(RingQueue.redis_queue_namespace_prefix)
        else:
            self.refused += 1
        return True

    def report(self) -> None:
        """Tell RQ, once a second, that we live; anew where Redis has come back empty."""
        if time.monotonic() < self._report_at:
            return
        if not self.connection.hexists(self.key, "birth"):
            self.connection.delete(self.key)
            self.register_birth()
            self.set_state(WorkerStatus.IDLE)
        self.heartbeat()
        if self.should_run_maintenance_tasks:
            self.clean_registries()
        self._report_at = time.monotonic() + REPORT_SECONDS

    def enter(self) -> None:
        """Enter what was heard in RQ's books: its registries, results and counts, as if RQ had run it."""
        heard, refused = self.heard, self.refused
        self.heard, self.refused = {}, 0
        try:
            known = dict(Job.objects.filter(pk__in=heard).values_list("pk", "status"))
            left = {name: _next_ready(name) for name in set(heard.values())}
        except Error:
            return  # the ledger is away, which the worker's own loop says: the books can do without these
        finally:
            close_old_connections()
        refused += len(heard.keys() - known.keys())
        with self.connection.pipeline() as pipeline:
            for job_id, queue_name in heard.items():
                self._enter(Ring.of(job_id, queue_name, self.connection), known.get(job_id), pipeline)
            if refused:
                logger.warning("%s entries in Redis were no rings for jobs of this ledger: ignored", refused)
                pipeline.hincrby(self.key, "failed_job_count", refused)
            pipeline.execute()
        self._pass_on(left)

    def _enter(self, ring: Ring, status: str | None, pipeline: Pipeline) -> None:
        ring.started_at = ring.ended_at = now()
        if status:
            ring._result = status
            ring._handle_success(HEARD_SECONDS, pipeline, worker_name=self.name)
            self.increment_successful_job_count(pipeline)
        else:
            ring.set_status(RQStatus.FAILED, pipeline)
            ring._handle_failure("the ledger holds no job of this id", pipeline, worker_name=self.name)
        ring.cleanup(HEARD_SECONDS, pipeline)

    def _pass_on(self, left: dict[str, int | None]) -> None:
        """Ring again for letters that this process did not take: it is full, and another one may not be.

        Then leave the rings to others, the longer the less it helps: nobody may be able to take them now.
        """
        passed = False
        for queue_name, job_id in left.items():
            queue = RingQueue(queue_name, connection=self.connection)
            if job_id and self.count(queue=queue) > 1:
                queue.ring(job_id)
                passed = True
        self._rest = min(self._rest * 2 or 0.05, LONGEST_REST_SECONDS) if passed else 0.0
        time.sleep(self._rest)


def _next_ready(queue_name: str) -> int | None:
    """By the index that a claim uses."""
    ready = Job.objects.filter(queue_name=queue_name, status=JobStatus.READY, suspect=False)
    return next(iter(ready.order_by("-priority", "id").values_list("pk", flat=True)[:1]), None)
