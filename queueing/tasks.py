"""A task is declared once, at its handler, with `@task`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, overload

from .backoff import Backoff
from .models import Job
from .registry import register
from .service import QueueService

Handler = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Debounce:
    """Lets later enqueues under the same unique key push the waiting job.

    It runs `quiet` after the last of them, and no later than `longest` after the first.
    """

    quiet: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True)
class Task:
    """A named declaration; with `using()`, also the options of one enqueue."""

    name: str
    handler: Handler
    queue_name: str = "default"
    priority: int = 0
    max_attempts: int = 10
    backoff: Backoff = field(default_factory=Backoff)
    timeout: timedelta = timedelta(minutes=5)
    max_age: timedelta | None = None
    takes_context: bool = False
    permanent: tuple[type[Exception], ...] = ()
    on_dead: str = ""

    run_after: datetime | timedelta | None = None
    debounce: Debounce | None = None
    ordering_key: str = ""
    unique_key: str = ""
    fairness_key: str = ""
    subject: str = ""
    correlation_id: str = ""
    scheduled_for: datetime | None = None

    def using(self, **options: Any) -> Task:
        """This task with other options for one enqueue.

        Args:
            run_after: a moment, or a delay from now.
            priority: -100 to 100; the highest runs first.
            ordering_key: jobs of one key run one at a time, in the order of their enqueue.
            unique_key: at most one waiting job per key; enqueueing another returns the waiting one.
            debounce: how later enqueues push the job that waits under the unique key.
            fairness_key: the tenant.
            subject: what the job is about, for example `conversation:42`.
            correlation_id: joins everything that one outside event caused.
            scheduled_for: the point of a schedule's grid; at most one job per task and point.
        """
        return replace(self, **options)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the handler takes from a payload."""
        return _parameters(self.handler, self.takes_context)

    def enqueue(self, **payload: Any) -> Job:
        """Store one job of this task; see `QueueService.enqueue`."""
        return QueueService.enqueue(self, **payload)


@cache
def _parameters(handler: Handler, takes_context: bool) -> Mapping[str, inspect.Parameter]:
    parameters = list(inspect.signature(handler).parameters.items())
    return dict(parameters[1:] if takes_context else parameters)


@overload
def task(handler: Handler, /) -> Task: ...


@overload
def task(**options: Any) -> Callable[[Handler], Task]: ...


def task(handler: Handler | None = None, /, **options: Any) -> Task | Callable[[Handler], Task]:
    """Declare the decorated function as the handler of a task that carries its name.

    Args:
        name: another name than the function's.
        queue_name: the lane it waits in.
        priority: -100 to 100; the highest runs first.
        max_attempts: failures until the job is dead. Crashes are counted apart.
        backoff: the delay between attempts.
        timeout: how long one attempt may take.
        max_age: how long after its enqueue a job may still start an attempt.
        takes_context: hand the handler its `JobContext` as first argument.
        permanent: exception types after which another attempt is useless.
        on_dead: a task that is enqueued with the same payload, in the same transaction, when a job of this task dies.
    """

    def declare(handler: Handler) -> Task:
        declared = Task(**{"name": handler.__name__, "handler": handler, **options})
        register(declared)
        return declared

    return declare(handler) if handler else declare
