"""`manage.py rqscheduler`: the heartbeat. Enqueues what is periodic, executes nothing."""

from __future__ import annotations

import logging
import random
import signal
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection

from queueing.clock import database_now
from queueing.scheduler import enqueue_due, next_point

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Enqueue the periodic tasks at the points of their grids, until told to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        while True:
            time.sleep(self._beat())

    def _beat(self) -> float:
        """One look at the grid. Returns the seconds until the next; a database that is away is asked again soon."""
        try:
            now = database_now()
            enqueue_due(now)
            return max((next_point(now) - database_now()).total_seconds(), 0.05)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the database cannot be reached: %s", type(error).__name__)
            connection.close()
            return random.uniform(0.5, 2.0)  # noqa: S311  (jitter)
