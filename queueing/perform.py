"""Runs one claimed job's handler, and catches whatever comes of it: the only broad except of the product."""

from __future__ import annotations

import logging

from django.db import close_old_connections

from . import tracing
from .context import JobContext
from .current import working_on
from .errors import Discard, Interrupted
from .masking import words_of
from .registry import get_task

logger = logging.getLogger(__name__)


def perform(context: JobContext) -> BaseException | None:
    """Call the handler, then give back this thread's database connections that `CONN_MAX_AGE` does not keep.

    Returns what the handler raised, or None when it returned. Payload names that it does not know are left out: they
    come from a newer version, while a deploy is rolling.
    """
    with working_on(context.job):
        try:
            with tracing.performing(context.job):
                _call(context)
        except BaseException as error:  # noqa: BLE001  (SystemExit too: a handler must not end the worker)
            log = logger.info if isinstance(error, Interrupted) else logger.warning
            log("the attempt ended: %s: %s", type(error).__name__, words_of(error))
            return error
        finally:
            close_old_connections()
    return None


def _call(context: JobContext) -> None:
    job, task = context.job, get_task(context.job.task)
    if job.expires_at and job.started_at and job.expires_at < job.started_at:  # both by the database's clock
        raise Discard("older than its task's max_age")
    payload = {name: value for name, value in job.payload.items() if name in task.parameters}
    task.handler(*([context] if task.takes_context else []), **payload)
