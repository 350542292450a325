"""`manage.py rqworker`: executes jobs. The only process that does."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from queueing.parent import Parent
from queueing.worker import Worker


class Command(BaseCommand):
    help = "Execute jobs until told to stop. SIGTERM drains; a second one gives the running jobs back at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", nargs="*", help="lanes to serve, the first one first (default: every lane)")
        parser.add_argument("--threads", type=int, default=8, help="jobs that run at once (default: 8)")
        parser.add_argument(
            "--max-jobs", type=int, default=0, help="a fresh process after so many jobs (default: never)"
        )
        parser.add_argument(
            "--max-memory", type=int, default=0, help="a fresh process beyond so many MiB (default: never)"
        )
        parser.add_argument("--burst", action="store_true", help="end when nothing is ready")

    def handle(self, *args: Any, queues: list[str], threads: int, burst: bool, **options: Any) -> None:
        limits = {name: options[name] for name in ("max_jobs", "max_memory")}
        for name, value in {"threads": threads - 1, **limits}.items():
            if value < 0:
                raise CommandError(f"--{name.replace('_', '-')} is too small")
        make_worker = partial(Worker, queue_names=queues, threads=threads, **limits)
        sys.exit(Parent(make_worker, burst=burst).run())
