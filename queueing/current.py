"""The job that this thread is working on, so that what it enqueues knows its parent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
