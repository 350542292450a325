"""The declared tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.conf import settings

from .errors import UnknownTask

if TYPE_CHECKING:
    from .tasks import Task

_tasks: dict[str, Task] = {}
_finders: list[Callable[[str], Task | None]] = []


def register(task: Task) -> None:
    """Raises ValueError when another module has declared a task of this name."""
    known = _tasks.get(task.name)
    if known and known.handler.__module__ != task.handler.__module__:
        raise ValueError(
            f"two tasks are named {task.name!r}: in {known.handler.__module__} and in {task.handler.__module__}"
        )
    _tasks[task.name] = task


def register_finder(find: Callable[[str], Task | None]) -> None:
    """Have `find` asked for names that nobody has declared in this process."""
    _finders.append(find)


def is_declared(name: str) -> bool:
    """Whether a task of that name is declared in this process."""
    return name in _tasks


def get_task(name: str) -> Task:
    """The task of that name. Raises UnknownTask."""
    task = _tasks.get(name) or next(filter(None, (find(name) for find in _finders)), None)
    if task is None:
        raise UnknownTask(f"no task is named {name!r}")
    return task


def all_tasks() -> list[Task]:
    """Every declared task, by name."""
    return [_tasks[name] for name in sorted(_tasks)]


def all_queue_names() -> list[str]:
    """Every lane that a task is declared for, or that Django's tasks may be given to; `default` first."""
    names = {"default"} | {task.queue_name for task in _tasks.values()}
    for backend in settings.TASKS.values():
        names.update(backend.get("QUEUES", ()))
    return sorted(names, key=lambda name: (name != "default", name))
