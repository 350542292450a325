"""Broken products: each breaks one rule that the design stands on, by a patch from here.

A proof that does not see them is none. `TRIALS` holds, for each, the smallest scenario that shows it.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.core.signals import request_finished
from django.db import connections, transaction

import conversations.delivery
import conversations.inbox
import queueing.context
import queueing.settle
import queueing.worker
from conversations.models import DeliveryStatus, Message
from queueing import registry
from queueing.clock import database_now
from queueing.context import JobContext
from queueing.models import Job, JobQuerySet, JobStatus
from queueing.service import QueueService
from queueing.worker import Worker


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    Attributes:
        apply: breaks the process that calls it.
        service: only this one is broken.
        statements: what is done to the database as well.
    """

    apply: Callable[[], None]
    service: str = ""
    statements: tuple[str, ...] = ()


def no_attempt_fence() -> None:
    """Whoever ends a job is taken for its current attempt, and nobody is told that he is not."""
    succeed = queueing.settle.succeed

    def succeed_as_anyone(jobs: Sequence[Job], *, now: datetime) -> set[int]:
        attempts = dict(Job.objects.filter(pk__in=[job.pk for job in jobs]).values_list("pk", "attempt"))
        disguised = [copy.copy(job) for job in jobs]
        for job in disguised:
            job.attempt = attempts[job.pk]
        return succeed(disguised, now=now)

    @contextmanager
    def fenced(self: JobContext) -> Iterator[None]:
        with transaction.atomic(durable=True):
            yield

    for module in (queueing.settle, queueing.context, queueing.worker):
        module.succeed = succeed_as_anyone  # type: ignore[attr-defined]
    queueing.settle._ours = lambda job: Job.objects.filter(pk=job.pk, status=JobStatus.RUNNING)
    JobContext.fenced = fenced  # type: ignore[method-assign]
    JobContext.stop_if_interrupted = lambda self: None  # type: ignore[method-assign]


def no_fence_at_all() -> None:
    """As if a job were ended by its id alone: also one that has ended."""
    no_attempt_fence()

    def succeed_whatever(jobs: Sequence[Job], *, now: datetime) -> set[int]:
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(
            status=JobStatus.SUCCEEDED, finished_at=now, lease_until=None
        )
        return {job.pk for job in jobs}

    for module in (queueing.settle, queueing.context, queueing.worker):
        module.succeed = succeed_whatever  # type: ignore[attr-defined]


def no_order() -> None:
    """No job looks for an older one of its key, and (see `statements`) the database does not either."""
    JobQuerySet.unfinished_of = lambda self, keys: self.none()  # type: ignore[method-assign,misc]


def ring_without_row() -> None:
    """A job is stored by its ring, after the commit."""
    enqueue_many = QueueService.enqueue_many

    def ring_first(calls: Any) -> list[Job]:
        calls = list(calls)
        transaction.on_commit(lambda: enqueue_many(calls) and None)
        return [Job(task="not stored yet") for _ in calls]

    QueueService.enqueue_many = staticmethod(ring_first)  # type: ignore[method-assign,assignment]


def enqueue_outside_the_transaction() -> None:
    """The message is stored, then, apart, the job that answers it."""
    answer_later, receive = conversations.inbox.answer_later, conversations.inbox.receive
    later: list[Callable[[], None]] = []

    def receive_then_enqueue(*args: Any, **kwargs: Any) -> Any:
        message = receive(*args, **kwargs)
        while later:
            later.pop()()
        return message

    conversations.inbox.answer_later = lambda *args, **kwargs: later.append(  # type: ignore[assignment]
        lambda: answer_later(*args, **kwargs)
    )
    conversations.inbox.receive = receive_then_enqueue


def answer_before_commit() -> None:
    """200 first, and the message is stored when the answer has left."""
    receive = conversations.inbox.receive
    later: list[Callable[[], object]] = []

    def store(**_: Any) -> None:
        while later:
            later.pop()()

    conversations.inbox.receive = lambda *args, **kwargs: later.append(  # type: ignore[assignment]
        lambda: receive(*args, **kwargs)
    )
    request_finished.connect(store, weak=False)


def swallowed_error() -> None:
    """What a handler raises counts as its success."""
    perform = queueing.worker.perform

    def perform_quietly(context: JobContext) -> None:
        perform(context)

    queueing.worker.perform = perform_quietly  # type: ignore[assignment]


def blind_resend() -> None:
    """A send whose outcome is not known is repeated."""
    deliver = registry.get_task("deliver_message")

    def send_again(context: JobContext, message_id: int) -> None:
        unknown = Message.objects.filter(
            pk=message_id, delivery_status__in=[DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN]
        )
        unknown.update(delivery_status=DeliveryStatus.PENDING)
        deliver.handler(context, message_id=message_id)

    registry._tasks[deliver.name] = replace(deliver, handler=send_again)


def deferred_begin() -> None:
    """SQLite's default: a transaction that reads first and writes later fails among other writers."""
    connections.settings["default"]["OPTIONS"]["transaction_mode"] = "DEFERRED"


def worker_clock() -> None:
    """Leases are judged by the clock of the worker's machine, which is an hour ahead."""

    def hour_ahead() -> datetime:
        return database_now() + timedelta(hours=1)

    for name, module in list(sys.modules.items()):
        if name.startswith("queueing.") and hasattr(module, "database_now"):
            module.database_now = hour_ahead  # type: ignore[attr-defined]


def no_rescue_by_workers() -> None:
    """Whose worker died waits for someone else to notice."""
    Worker._rescue = lambda self: None  # type: ignore[method-assign]
    queueing.worker.rescue_worker = lambda *_: 0


def late_news_wins() -> None:
    """The last callback decides, whatever it says."""

    def overwrite(pk: int, external_id: str, status: DeliveryStatus, **_: Any) -> None:
        Message.objects.filter(pk=pk).update(external_id=external_id, delivery_status=status)

    conversations.delivery._merge = overwrite


MUTANTS = {
    "no attempt fence": Mutant(no_attempt_fence),
    "no fence at all": Mutant(no_fence_at_all),
    "no order": Mutant(no_order, statements=("DROP INDEX one_running_per_ordering_key",)),
    "ring without row": Mutant(ring_without_row),
    "enqueue outside the transaction": Mutant(enqueue_outside_the_transaction),
    "answer before commit": Mutant(answer_before_commit),
    "swallowed error": Mutant(swallowed_error),
    "blind resend": Mutant(blind_resend),
    "deferred begin": Mutant(deferred_begin),
    "worker's clock": Mutant(worker_clock, service="second worker"),
    "no rescue by workers": Mutant(no_rescue_by_workers),
    "late news wins": Mutant(late_news_wins),
}
