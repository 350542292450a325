"""How an attempt ends. Every write is fenced by `id AND attempt AND running`: who lost the lease changes nothing.

The callers hold a transaction; what fails in it fails as a whole and is settled again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from .clock import sql_time
from .current import working_on
from .errors import (
    Defer,
    Discard,
    JobCancelled,
    JobTimedOut,
    LeaseLost,
    QueueError,
    Released,
    Retry,
    UnknownTask,
)
from .masking import traceback_of, words_of
from .models import Attempt, AttemptOutcome, Job, JobStatus
from .promote import lock_ordering_keys, promote_next
from .registry import get_task
from .service import QueueService
from .tasks import Task

logger = logging.getLogger(__name__)

MAX_CRASHES = 3
MAX_DELAY = timedelta(days=365)  # whatever a handler asks for, or the other side of it


def succeed(jobs: Sequence[Job], *, now: datetime) -> set[int]:
    """End these attempts as succeeded, in one statement, each under its own fence. Returns the ids that were ours."""
    if not jobs:
        return set()
    lock_ordering_keys(job.ordering_key for job in jobs)
    places, pairs = ", ".join(["%s"] * len(jobs)), ", ".join(["(%s, %s)"] * len(jobs))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE queueing_job SET status = '{JobStatus.SUCCEEDED}', finished_at = %s, lease_until = NULL, reason = ''
            WHERE status = '{JobStatus.RUNNING}' AND id IN ({places}) AND (id, attempt) IN (VALUES {pairs})
            RETURNING id
            """,  # noqa: S608  (placeholders only)  The plain list of ids is what SQLite finds the rows by.
            [sql_time(now), *(job.pk for job in jobs), *(value for job in jobs for value in (job.pk, job.attempt))],
        )
        ours = {row[0] for row in cursor.fetchall()}
        _record_successes(cursor, ours)
    promote_next((job.ordering_key for job in jobs if job.pk in ours), now)
    return ours


def _record_successes(cursor: CursorWrapper, job_ids: set[int]) -> None:
    """Their attempts' rows, made of what the ledger has just been told."""
    if job_ids:
        cursor.execute(
            f"""
            INSERT INTO queueing_attempt
                (job_id, number, worker_id, due_at, started_at, finished_at, outcome, error_class, message, traceback)
            SELECT id, attempt, worker_id, run_after, started_at, finished_at, '{AttemptOutcome.SUCCEEDED}', '', '', ''
            FROM queueing_job WHERE id IN ({", ".join(["%s"] * len(job_ids))})
            """,  # noqa: S608  (placeholders only)
            list(job_ids),
        )


def fail(job: Job, error: BaseException, *, now: datetime) -> bool:
    """End one attempt by what its handler raised. False when the job was not ours any more, and nothing was written."""
    verdict = _judge(job, error)
    with transaction.atomic():
        lock_ordering_keys([job.ordering_key])
        cancelled = _ours(job).select_for_update().values_list("cancel_requested", flat=True).first()
        if cancelled and verdict.again is not None:  # asked for while it ran, and it never looked: not run again
            ended = _finish(job, JobStatus.CANCELLED, now=now, reason=gettext_noop("cancelled while it ran"))
        elif verdict.outcome == AttemptOutcome.CANCELLED:
            ended = _finish(job, JobStatus.CANCELLED, now=now, reason=verdict.reason)
        elif verdict.again is not None and not _expired(job, now + verdict.again):
            ended = wait_again(
                job, run_after=now + verdict.again, now=now, reason=verdict.reason, failures=verdict.failures
            )
        else:
            ended = die(job, now=now, reason=verdict.reason, failures=verdict.failures)
        if ended:
            _attempt(job, verdict.outcome, now, error).save(force_insert=True)
    return ended


def crash(job: Job, *, now: datetime) -> bool:
    """End an attempt whose process is gone. Only a job that ran alone is charged; any other becomes a suspect.

    The job's row must be locked, and fresh.
    """
    crashes = job.crashes + 1 if job.suspect else job.crashes
    with transaction.atomic():
        if job.cancel_requested:
            ended = _finish(job, JobStatus.CANCELLED, now=now, reason=gettext_noop("cancelled while its worker died"))
        elif crashes >= MAX_CRASHES:
            ended = die(
                job, now=now, reason=gettext_noop("its process died each time that it ran alone"), crashes=crashes
            )
        else:
            ended = wait_again(
                job, run_after=now, now=now, reason=gettext_noop("its worker died"), crashes=crashes, suspect=True
            )
        if ended:
            _attempt(job, AttemptOutcome.CRASHED, now).save(force_insert=True)
    return ended


def wait_again(job: Job, *, run_after: datetime, now: datetime, reason: str, **counts: Any) -> bool:
    """Give a running job back to the queue, under the fence. It stays the head of its ordering key.

    When another job already waits under its unique key, it is merged into that one, which inherits its past.
    """
    lock_ordering_keys([job.ordering_key])
    later = run_after > now
    while True:
        other = Job.objects.select_for_update().waiting_under(job.unique_key).first() if job.unique_key else None
        if other:
            return _merge(job, other, run_after=run_after, now=now, **counts)
        try:
            with transaction.atomic(savepoint=bool(job.unique_key)):
                return _write(
                    job,
                    status=JobStatus.SCHEDULED if later else JobStatus.READY,
                    run_after=run_after if later else job.run_after,
                    reason=reason[:300],
                    **{"suspect": False, **counts},
                )
        except IntegrityError:  # another job took the unique key between our look and our write: merge into it
            continue


def die(job: Job, *, now: datetime, reason: str, **counts: Any) -> bool:
    """Make the job a dead letter, and enqueue the task that its own names for this case."""
    if not _finish(job, JobStatus.DEAD, now=now, reason=reason, **counts):
        return False
    task = _task(job)
    if task and task.on_dead:
        try:
            _enqueue_last_word(job, task.on_dead)
        except QueueError:  # a declaration that does not fit must not stop the worker, and every rescuer after it
            with working_on(job):
                logger.exception("the job is dead, and %s cannot be enqueued for it", task.on_dead)
    return True


def _enqueue_last_word(job: Job, name: str) -> None:
    task = get_task(name)
    payload = {name: value for name, value in job.payload.items() if name in task.parameters}
    with working_on(job):
        QueueService.enqueue(task.using(ordering_key=job.ordering_key), **payload)


@dataclass(frozen=True, slots=True)
class _Verdict:
    outcome: AttemptOutcome
    again: timedelta | None  # the delay before the next attempt; None: there is none
    reason: str
    failures: int


def _judge(job: Job, error: BaseException) -> _Verdict:
    reason = f"{type(error).__name__}: {words_of(error)}"
    if isinstance(error, (Released, LeaseLost)):  # a lease that nobody has taken: nothing was wrong with the job
        return _Verdict(AttemptOutcome.RELEASED, timedelta(0), reason, job.failures)
    if isinstance(error, JobCancelled):
        return _Verdict(AttemptOutcome.CANCELLED, None, gettext_noop("cancelled while it ran"), job.failures)
    if isinstance(error, Defer):
        return _Verdict(AttemptOutcome.DEFERRED, min(error.after, MAX_DELAY), words_of(error), job.failures)
    outcome = AttemptOutcome.TIMED_OUT if isinstance(error, JobTimedOut) else AttemptOutcome.FAILED
    failures = job.failures + 1
    task = _task(job)
    if task is None or isinstance(error, (Discard, UnknownTask, *task.permanent)) or failures >= task.max_attempts:
        return _Verdict(outcome, None, reason, failures)
    asked = error.after if isinstance(error, Retry) else None
    delay = task.backoff.delay(failures) if asked is None else asked
    return _Verdict(outcome, min(delay, MAX_DELAY), reason, failures)


def _task(job: Job) -> Task | None:
    try:
        return get_task(job.task)
    except UnknownTask:
        return None


def _expired(job: Job, moment: datetime) -> bool:
    return job.expires_at is not None and moment > job.expires_at


def _finish(job: Job, status: JobStatus, *, now: datetime, reason: str, **counts: Any) -> bool:
    lock_ordering_keys([job.ordering_key])
    ended = _write(job, status=status, finished_at=now, reason=reason[:300], **counts)
    if ended:
        promote_next([job.ordering_key], now)
    return ended


def _merge(job: Job, other: Job, *, run_after: datetime, now: datetime, **counts: Any) -> bool:
    if not _finish(
        job, JobStatus.CANCELLED, now=now, reason=f"merged into job {other.pk}, which waits under its unique key"
    ):
        return False
    other.refresh_from_db()  # the end of `job` may just have promoted it
    other.failures += counts.get("failures", job.failures)
    other.crashes += counts.get("crashes", job.crashes)
    other.suspect = other.suspect or counts.get("suspect", False)
    other.run_after = max(other.run_after, run_after)
    other.expires_at = min(filter(None, [other.expires_at, job.expires_at]), default=None)
    if other.status != JobStatus.BLOCKED:
        other.status = JobStatus.SCHEDULED if other.run_after > now else JobStatus.READY
    other.save()
    return True


def _ours(job: Job) -> QuerySet[Job]:
    """The fence: the job's row, or none when the attempt is not the running one any more."""
    return Job.objects.filter(pk=job.pk, attempt=job.attempt, status=JobStatus.RUNNING)


def _write(job: Job, **changes: Any) -> bool:
    return _ours(job).update(lease_until=None, cancel_requested=False, **changes) == 1


def _attempt(job: Job, outcome: AttemptOutcome, now: datetime, error: BaseException | None = None) -> Attempt:
    return Attempt(
        job=job,
        number=job.attempt,
        worker_id=job.worker_id,
        due_at=job.run_after,
        started_at=job.started_at or now,
        finished_at=now,
        outcome=outcome,
        error_class=_class_name(error)[:200] if error else "",
        message=words_of(error) if error else "",
        traceback=traceback_of(error) if error else "",
    )


def _class_name(error: BaseException) -> str:
    """As a traceback names it: without the module for Python's own."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
