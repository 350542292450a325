"""The cron: enqueues each periodic task at the points of its grid, and executes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from .models import Job
from .registry import all_tasks
from .service import QueueService

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def grid_point(moment: datetime, interval: timedelta) -> datetime:
    """The latest multiple of `interval` since 1970 that is not after `moment`: the same for every scheduler, whenever started."""
    return moment - (moment - EPOCH) % interval


def enqueue_due(now: datetime) -> list[Job]:
    """Enqueue every periodic task for the grid point that `now` lies at. Two schedulers make one job of it.

    A job of an earlier point that still waits stands in for the new one, so an outage is followed by one run, not by many.
    """
    return QueueService.enqueue_many(
        (task.using(scheduled_for=grid_point(now, task.every()), unique_key=f"every:{task.name}"), {})
        for task in all_tasks()
        if task.every
    )


def next_point(now: datetime) -> datetime:
    """When the next grid point of any periodic task comes."""
    return min(
        (grid_point(now, task.every()) + task.every() for task in all_tasks() if task.every),
        default=now + timedelta(minutes=1),
    )
