"""`manage.py queue_resume NAME`: the jobs of a paused queue start again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from queueing.pause import paused_queues, resume


class Command(BaseCommand):
    help = "Let the jobs of a paused queue start again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the queue")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        paused = paused_queues()
        if name not in paused:
            raise CommandError(f"{name!r} is not paused. Paused: {', '.join(sorted(paused)) or 'none'}.")
        resume(name)
        self.stdout.write(f"{name} goes on.")
