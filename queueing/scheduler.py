"""The cron: enqueues each periodic task at the points of its grid, and executes nothing.

`Schedule.next_point` says what a scheduler waits for. It is checked against the grid at every look, so a clock that was
set back and a cadence that was changed only move it: neither makes a job.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.conf import settings
from django.db import transaction

from .cadence import Cadence, Cron, Every
from .models import Job, Schedule
from .periodic import declared_cadences
from .registry import get_task
from .service import QueueService
from .tasks import Task

logger = logging.getLogger(__name__)


def enqueue_due(now: datetime) -> list[Job]:
    """Enqueue every periodic task that has come to a point of its grid. Two schedulers make one job of it.

    An outage is followed by one run, for the last point that it covered. A job of an earlier point that still waits
    stands in for the new one. A schedule that is new, or enabled again, starts with its next point.
    """
    due: list[Task] = []
    moved: list[Schedule] = []
    for schedule, cadence in schedules():
        point = cadence.latest(now)
        following = cadence.next(now) if schedule.enabled else None
        if following and schedule.next_point and schedule.next_point <= point:
            task = get_task(schedule.task)
            due.append(task.using(scheduled_for=point, unique_key=f"every:{task.name}"))
            schedule.last_point = point
        if schedule.next_point != following:
            schedule.next_point = following
            moved.append(schedule)
    if not moved:
        return []
    with transaction.atomic():
        jobs = QueueService.enqueue_many((task, {}) for task in due)
        Schedule.objects.bulk_update(moved, ["last_point", "next_point"])
    return jobs


def next_points(now: datetime) -> dict[str, datetime]:
    """When each enabled periodic task comes next."""
    return {schedule.task: cadence.next(now) for schedule, cadence in schedules() if schedule.enabled}


def schedules() -> list[tuple[Schedule, Cadence]]:
    """The declared periodic tasks by name, each as an operator has set it. Rows that are missing are made."""
    declared = declared_cadences()
    rows = Schedule.objects.in_bulk(list(declared))
    if len(rows) < len(declared):
        Schedule.objects.bulk_create([Schedule(task=name) for name in declared], ignore_conflicts=True)
        rows = Schedule.objects.in_bulk(list(declared))
    return [(rows[name], cadence_of(rows[name], cadence)) for name, cadence in declared.items()]


def cadence_of(schedule: Schedule, declared: Cadence) -> Cadence:
    """The operator's, or else the declared one. What cannot be read must not stop the other schedules."""
    own = declared.time_zone if isinstance(declared, Cron) else settings.TIME_ZONE
    zone = schedule.time_zone or own
    try:
        if schedule.interval is not None:
            return Every(schedule.interval)
        if schedule.cron:
            return Cron(schedule.cron, zone)
        return Cron(declared.expression, zone) if isinstance(declared, Cron) else declared
    except ValueError as error:
        logger.error("the schedule of %s cannot be read, so it is as declared: %s", schedule.task, error)
        return declared
