"""A ring as RQ knows it: a job of one function, with the id of a job in the ledger and nothing else.

Whoever can write to Redis can ring, and no more than that: no code is chosen, loaded or called by what is found there.
"""

from __future__ import annotations

from collections.abc import Callable

import rq.serializers
from django.db import Error
from redis import Redis
from rq.job import Job as RQJob
from rq.queue import Queue

from queueing.models import Job

# RQ has no setting for this: its stop command, its cron and django-rq's pages fall back to pickle wherever they look at
# a job. Loading a pickle runs what it says, so in our processes JSON is what they fall back to.
rq.serializers.PickleSerializer = rq.serializers.JSONSerializer  # type: ignore[assignment]

HEARD_SECONDS = 60  # how long RQ's pages show a ring that was heard
UNHEARD_SECONDS = 24 * 60 * 60  # how long the hash of a ring stays that nobody entered in the books


def ring(job_id: int) -> None:
    """The function in every payload. To have been heard is all that is asked of it."""


class Ring(RQJob):
    """An RQ job that cannot do anything but ring, whatever its hash in Redis says."""

    @classmethod
    def of(cls, job_id: int, queue_name: str, connection: Redis, *, description: str | None = None) -> Ring:
        """The ring for a job of the ledger, with the job's id as its own. Each side makes it anew; it is never loaded.

        Args:
            description: what RQ's pages call it; None leaves what is there.
        """
        made: Ring = cls.create(  # type: ignore[assignment]
            ring,
            args=[job_id],
            id=str(job_id),
            connection=connection,
            timeout=1,
            ttl=UNHEARD_SECONDS,
            result_ttl=HEARD_SECONDS,
            failure_ttl=HEARD_SECONDS,
        )
        made.origin = queue_name
        made.description = description
        return made

    @property
    def func(self) -> Callable[[int], None]:
        return ring

    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None


class RingQueue(Queue):
    """A lane, as RQ's tools and pages know it."""

    job_class = Ring

    def ring(self, job_id: int) -> None:
        """Push one ring, unless one waits: a worker that hears it looks for every letter that was stored before.

        No lock is needed. A ring that is found waiting is heard after this look, and our letter is stored already; two
        callers that find none make two rings.
        """
        if self.count:
            return
        made = Ring.of(job_id, self.name, self.connection, description=f"{_task_of(job_id)} #{job_id}")
        with self.connection.pipeline(transaction=False) as pipeline:
            self.enqueue_job(made, pipeline=pipeline)
            pipeline.execute()


def _task_of(job_id: int) -> str:
    """For people to read, so a ledger that is away does not keep the ring back."""
    try:
        return Job.objects.filter(pk=job_id).values_list("task", flat=True).first() or "?"
    except Error:
        return "?"
