"""`manage.py rqscheduler`: the heartbeat. Enqueues what is periodic, executes nothing."""

from __future__ import annotations

import logging
import random
import signal
import sys
import time
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from queueing.backends import get_backend
from queueing.clock import database_now
from queueing.scheduler import enqueue_due, next_points, schedules

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # after so long an operator's change is seen, however late the next point is


class Command(BaseCommand):
    help = "Enqueue the periodic tasks at the points of their grids, until told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--list", action="store_true", help="say what is enqueued when, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self._list()
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        while True:
            time.sleep(self._beat())

    def _beat(self) -> float:
        """One look at the grid. Returns the seconds until the next; a database that is away is asked again soon."""
        try:
            now = database_now()
            enqueue_due(now)
            points = next_points(now)
            get_backend().show_schedule(points)
            soonest = min(points.values(), default=now + timedelta(seconds=LOOK_SECONDS))
            return min(max((soonest - database_now()).total_seconds(), 0.05), LOOK_SECONDS)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the database cannot be reached: %s", type(error).__name__)
            connection.close()
            return random.uniform(0.5, 2.0)  # noqa: S311  (jitter)

    def _list(self) -> None:
        """A table of the schedules; its times are those of `settings.TIME_ZONE`."""
        rows = [("task", "cadence", "enabled", "last", "next")]
        for schedule, cadence in schedules():
            coming = cadence.next(database_now()) if schedule.enabled else None
            enabled = "yes" if schedule.enabled else "no"
            rows.append((schedule.task, str(cadence), enabled, _moment(schedule.last_point), _moment(coming)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.stdout.write("  ".join(map(str.ljust, row, widths)).rstrip())


def _moment(moment: datetime | None) -> str:
    return timezone.localtime(moment).isoformat(" ", "seconds") if moment else "-"
