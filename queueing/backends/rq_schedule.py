"""The schedule as rq-scheduler keeps it, so that django-rq's page shows when each periodic task comes next.

It is a picture. The scheduler goes by the database's clock and the grids of the tasks, and enqueues through the queue's
own door whether Redis is there or not. At each of its turns it draws the picture anew, so what was lost comes back;
where no scheduler draws, it fades.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from rq.job import JobStatus
from rq_scheduler import Scheduler

from queueing.registry import get_task

from .rq_rings import Ring, RingQueue

FADES_SECONDS = 60


class RingScheduler(Scheduler):  # type: ignore[misc]  # it is not annotated
    """rq-scheduler's entries, without its loop: that one drifts, and ends when Redis does."""

    job_class = Ring
    queue_class = RingQueue

    def show(self, points: Mapping[str, datetime]) -> None:
        """Make the entries these, and no others: tasks, and when they come next. Two schedulers draw the same."""
        with self.connection.pipeline() as pipeline:
            pipeline.delete(self.scheduled_jobs_key)
            for name, moment in points.items():
                entry = self._entry(name)
                entry.save(pipeline=pipeline)
                entry.cleanup(FADES_SECONDS, pipeline)
                pipeline.zadd(self.scheduled_jobs_key, {entry.id: moment.timestamp()})
            pipeline.expire(self.scheduled_jobs_key, FADES_SECONDS)
            pipeline.execute()

    def _entry(self, name: str) -> Ring:
        """What the page shows as callable is the task's handler. Nothing calls it: a Ring cannot."""
        task = get_task(name)
        entry: Ring = Ring.create(  # type: ignore[assignment]
            f"{task.handler.__module__}.{task.handler.__qualname__}",
            id="every-" + re.sub(r"[^\w-]", "-", name, flags=re.ASCII),
            connection=self.connection,
            description=name,
            status=JobStatus.SCHEDULED,
            origin=task.queue_name,
        )
        return entry
