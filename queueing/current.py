"""The job that this thread is working on, so that what it enqueues and logs knows where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the log is set up before there are models
    from .models import Job

_current: ContextVar[Job | None] = ContextVar("current_job", default=None)


@contextmanager
def working_on(job: Job) -> Iterator[None]:
    """Marks `job` as the current one inside the block."""
    token = _current.set(job)
    try:
        yield
    finally:
        _current.reset(token)


def current_job() -> Job | None:
    """The job that this thread is working on, if any."""
    return _current.get()


def correlation_of(job: Job) -> str:
    """What joins everything that one event outside caused; a job that came of none begins a chain of its own."""
    return job.correlation_id or f"job-{job.pk}"


def current_facts() -> dict[str, Any]:
    """What each log line of the current job carries; empty outside a job."""
    job = _current.get()
    if job is None:
        return {}
    return {"job_id": job.pk, "task": job.task, "attempt": job.attempt, "correlation_id": correlation_of(job)}
