"""The door of the queue: everything that becomes a job comes through here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from . import tracing
from .backends import get_backend
from .clock import database_now
from .current import correlation_of, current_job
from .errors import InvalidPayload
from .insert import insert
from .models import Job, JobStatus
from .promote import lock_ordering_keys
from .registry import get_task

if TYPE_CHECKING:
    from .tasks import Task

MAX_PAYLOAD_BYTES = 64 * 1024
OPTIONS = ("ordering_key", "unique_key", "fairness_key", "subject", "correlation_id")
MAX_LENGTHS = {field.name: field.max_length or 0 for field in Job._meta.fields if field.name in OPTIONS}
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON escapes it
INSERT_TRIES = 5


class QueueService:
    """Stores jobs and has the backend ring for them."""

    @staticmethod
    def enqueue(task: Task | str, /, **payload: Any) -> Job:
        """Store one job in the caller's transaction; its ring leaves after the commit.

        Args:
            task: a declared task (with the options of `using()`), or its name.
            payload: the handler's keyword arguments: JSON, ids rather than objects, 64 KiB at most.

        Returns the new job, or the one that already waits under the same unique key.

        Raises UnknownTask or InvalidPayload, and stores nothing.
        """
        return QueueService.enqueue_many([(task, payload)])[0]

    @staticmethod
    def enqueue_many(calls: Iterable[tuple[Task | str, dict[str, Any]]]) -> list[Job]:
        """Store many jobs in one transaction: all of them, or none.

        Arguments, result and exceptions are those of `enqueue`.
        """
        drafts = [(get_task(task) if isinstance(task, str) else task, payload) for task, payload in calls]
        for task, payload in drafts:
            _validate(task, payload)
        with tracing.enqueuing([task.name for task, _ in drafts]), transaction.atomic(savepoint=False):
            now = database_now()
            plain = [_draft(task, payload, now) for task, payload in drafts if not _is_keyed(task)]
            insert(plain)
            stored = iter(plain)
            lock_ordering_keys({task.ordering_key for task, _ in drafts if task.ordering_key})
            jobs = [_insert_keyed(task, payload, now) if _is_keyed(task) else next(stored) for task, payload in drafts]
            transaction.on_commit(partial(_ring, jobs))
        return jobs

    @staticmethod
    def check() -> None:
        """Raises BackendUnavailable, with what to do, when rings cannot be carried. Jobs are stored all the same."""
        get_backend().check()


def check_json(value: Any, what: str) -> None:
    """Raises InvalidPayload for a value that not every database stores as JSON, or that is too large for a job."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())  # a lone surrogate is a ValueError here
    except (TypeError, ValueError) as error:
        raise InvalidPayload(f"{what} is not JSON: {error}") from error
    if NUL.search(text):
        raise InvalidPayload(f"{what} has a NUL character in it, which PostgreSQL does not store")
    if size > MAX_PAYLOAD_BYTES:
        raise InvalidPayload(f"{what} has {size} bytes, more than {MAX_PAYLOAD_BYTES}")


def _is_keyed(task: Task) -> bool:
    return bool(task.ordering_key or task.unique_key or task.scheduled_for)


def _validate(task: Task, payload: dict[str, Any]) -> None:
    unknown = payload.keys() - task.parameters.keys()
    missing = {
        name for name, parameter in task.parameters.items() if parameter.default is parameter.empty
    } - payload.keys()
    if unknown or missing:
        wrong = [f"it does not take {name}" for name in sorted(unknown)] + [
            f"{name} is missing" for name in sorted(missing)
        ]
        raise InvalidPayload(f"the payload of {task.name} does not fit: {', '.join(wrong)}")
    check_json(payload, f"the payload of {task.name}")
    if not -100 <= task.priority <= 100:
        raise InvalidPayload(f"the priority of {task.name} is {task.priority}, outside -100 to 100")
    for name, longest in MAX_LENGTHS.items():
        if len(getattr(task, name)) > longest:
            raise InvalidPayload(f"the {name} of {task.name} has more than {longest} characters")


def _draft(task: Task, payload: dict[str, Any], now: datetime) -> Job:
    parent = current_job()
    delay = task.debounce.quiet if task.debounce else task.run_after
    run_after = now + delay if isinstance(delay, timedelta) else delay or now
    return Job(
        task=task.name,
        queue_name=task.queue_name,
        payload=payload,
        status=JobStatus.SCHEDULED if run_after > now else JobStatus.READY,
        priority=task.priority,
        run_after=run_after,
        expires_at=now + task.max_age if task.max_age else None,
        enqueued_at=now,
        ordering_key=task.ordering_key,
        unique_key=task.unique_key,
        fairness_key=task.fairness_key or (parent.fairness_key if parent else ""),
        scheduled_for=task.scheduled_for,
        subject=task.subject or (parent.subject if parent else ""),
        correlation_id=task.correlation_id or (correlation_of(parent) if parent else ""),
        trace_context=tracing.trace_context(),
        parent=parent,
    )


def _insert_keyed(task: Task, payload: dict[str, Any], now: datetime) -> Job:
    """Insert a job that other rows have a say in.

    The ordering key is locked, so that no settle slips in between the look and the insert.
    """
    tries = 0
    while True:
        waiting = _waiting(task)
        if waiting:
            return _push(waiting, task, now)
        job = _draft(task, payload, now)
        if task.ordering_key and Job.objects.unfinished_of([task.ordering_key]).exists():
            job.status = JobStatus.BLOCKED
        try:
            with transaction.atomic(savepoint=bool(task.unique_key or task.scheduled_for)):
                insert([job])
        except IntegrityError:  # another producer took the unique key; and a worker may have taken its job since
            tries += 1
            if tries == INSERT_TRIES:
                raise
        else:
            return job


def _waiting(task: Task) -> Job | None:
    """The job that stands in for a new one. Locked, so that no worker claims it, and reads, before our commit."""
    waiting = None
    if task.scheduled_for:
        waiting = Job.objects.filter(task=task.name, scheduled_for=task.scheduled_for).first()
    if task.unique_key and not waiting:
        waiting = Job.objects.select_for_update().waiting_under(task.unique_key).first()
    return waiting


def _push(waiting: Job, task: Task, now: datetime) -> Job:
    """Move a debounced job back, never forward: a failed one keeps its backoff.

    A ready one stays, and reads everything when it runs.
    """
    if task.debounce and waiting.status != JobStatus.READY:
        pushed = min(now + task.debounce.quiet, waiting.enqueued_at + task.debounce.longest)
        if pushed > waiting.run_after:
            waiting.run_after = pushed
            waiting.save(update_fields=["run_after"])
    return waiting


def _ring(jobs: Sequence[Job]) -> None:
    backend = get_backend()
    for queue_name in {job.queue_name for job in jobs}:
        backend.ring(queue_name, [job.pk for job in jobs if job.queue_name == queue_name])
