"""`manage.py queue_pause NAME`: no job of this queue starts until it is resumed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from queueing.clock import database_now
from queueing.models import Queue
from queueing.pause import pause
from queueing.registry import all_queue_names


class Command(BaseCommand):
    help = "Start no more jobs of a queue. What runs goes on, and what is enqueued waits."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the queue")
        parser.add_argument("--reason", default="", help="shown to operators")

    def handle(self, *args: Any, name: str, reason: str, **options: Any) -> None:
        known = {*all_queue_names(), *Queue.objects.values_list("name", flat=True)}
        if name not in known:
            raise CommandError(f"No queue is named {name!r}. There are: {', '.join(sorted(known))}.")
        pause(name, by="command line", now=database_now(), reason=reason)
        self.stdout.write(f"{name} is paused: workers start none of its jobs from now on, or within a second.")
