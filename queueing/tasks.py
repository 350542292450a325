"""The registry: a task is declared once, at its handler, with `@task`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, overload

from .backoff import Backoff
from .errors import UnknownTask
from .models import Job

Handler = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Debounce:
    """Lets later enqueues under the same unique key push the waiting job: `quiet` after the last, never `longest` after the first."""

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
    every: Callable[[], timedelta] | None = None

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

    def enqueue(self, **payload: Any) -> Job:
        """Store one job of this task; see `QueueService.enqueue`."""
        from .service import QueueService  # the service looks tasks up here: the door stands behind the registry

        return QueueService.enqueue(self, **payload)


_tasks: dict[str, Task] = {}


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
        every: a function that gives the interval of a periodic task; it is enqueued without a payload.
    """

    def declare(handler: Handler) -> Task:
        name = options.pop("name", handler.__name__)
        if name in _tasks and _tasks[name].handler.__module__ != handler.__module__:
            raise ValueError(f"two tasks are named {name!r}: {_tasks[name].handler.__module__} and {handler.__module__}")
        _tasks[name] = Task(name=name, handler=handler, **options)
        return _tasks[name]

    return declare(handler) if handler else declare


def get_task(name: str) -> Task:
    """The declared task of that name. Raises UnknownTask."""
    try:
        return _tasks[name]
    except KeyError:
        raise UnknownTask(f"no task is named {name!r}") from None


def all_tasks() -> list[Task]:
    """Every declared task, by name."""
    return [_tasks[name] for name in sorted(_tasks)]


def all_queue_names() -> list[str]:
    """Every lane that a task is declared for; `default` is first."""
    return sorted({declared.queue_name for declared in _tasks.values()} | {"default"}, key=lambda name: (name != "default", name))
