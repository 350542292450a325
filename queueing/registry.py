"""The declared tasks by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import UnknownTask

if TYPE_CHECKING:
    from .tasks import Task

_tasks: dict[str, Task] = {}


def register(task: Task) -> None:
    """Raises ValueError when another module has declared a task of this name."""
    known = _tasks.get(task.name)
    if known and known.handler.__module__ != task.handler.__module__:
        raise ValueError(
            f"two tasks are named {task.name!r}: in {known.handler.__module__} and in {task.handler.__module__}"
        )
    _tasks[task.name] = task


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
    """Every lane that a task is declared for, `default` first."""
    return sorted(
        {task.queue_name for task in _tasks.values()} | {"default"}, key=lambda name: (name != "default", name)
    )
