"""What runs by the clock: a task with `@periodic` above its `@task`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings

from .cadence import Cadence, Cron, Every
from .tasks import Task

_declared: dict[str, Cadence] = {}


def periodic(*, every: timedelta | None = None, cron: str = "", time_zone: str = "") -> Callable[[Task], Task]:
    """Declare that the scheduler enqueues the task below, which takes no payload, at every point of a grid.

    Args:
        every: at the multiples of so long since 1970, UTC.
        cron: instead, at the times of a cron line: minute, hour, day, month, weekday.
        time_zone: of the cron line; by default `settings.TIME_ZONE`.

    Raises ValueError for a cadence that does not exist, and for a task that needs a payload.
    """
    if (every is None) == (not cron):
        raise ValueError("a periodic task has either `every` or `cron`")
    cadence = Cron(cron, time_zone or settings.TIME_ZONE) if every is None else Every(every)

    def declare(task: Task) -> Task:
        wanted = [name for name, parameter in task.parameters.items() if parameter.default is parameter.empty]
        if wanted:
            raise ValueError(f"{task.name} cannot be periodic: nobody gives it {', '.join(wanted)}")
        _declared[task.name] = cadence
        return task

    return declare


def declared_cadences() -> dict[str, Cadence]:
    """What the code declares, by the task's name."""
    return {name: _declared[name] for name in sorted(_declared)}
