"""`manage.py queue_stats`: what stands in the queues, for people and for scripts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from queueing.clock import database_now
from queueing.display import duration
from queueing.models import Worker
from queueing.stats import CAP, COUNTED, QueueStats, living_workers, queue_stats

CLEAR = "\x1b[H\x1b[2J"


class Command(BaseCommand):
    help = "Show by queue how many jobs there are, how long the oldest ready one waits, how fast they end, who works."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--watch", action="store_true", help="show it again and again, until Ctrl-C")
        parser.add_argument("--interval", type=float, default=2, help="seconds between two looks (default: 2)")
        parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object a look")

    def handle(self, *args: Any, watch: bool, interval: float, as_json: bool, **options: Any) -> None:
        show = self._as_json if as_json else self._as_table
        with suppress(KeyboardInterrupt):
            while True:
                now = database_now()
                if watch and not as_json and self.stdout.isatty():
                    self.stdout.write(CLEAR, ending="")
                show(queue_stats(now), living_workers(now), now)
                self.stdout.flush()
                if not watch:
                    return
                time.sleep(interval)

    def _as_json(self, queues: Sequence[QueueStats], workers: Sequence[Worker], now: datetime) -> None:
        look = {"at": now.isoformat(), "workers": len(workers), "queues": [asdict(queue) for queue in queues]}
        self.stdout.write(json.dumps(look))

    def _as_table(self, queues: Sequence[QueueStats], workers: Sequence[Worker], now: datetime) -> None:
        rows = [HEADER, *(_row(queue) for queue in queues)]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for name, *figures in rows:
            cells = [figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True)]
            self.stdout.write("  ".join([name.ljust(widths[0]), *cells]).rstrip())
        busy, threads = sum(worker.running for worker in workers), sum(worker.threads for worker in workers)
        self.stdout.write(f"{len(workers)} workers, {busy} of {threads} threads busy, {now:%Y-%m-%d %H:%M:%S %Z}")


HEADER = ("queue", *COUNTED, "oldest ready", "ended/s", "workers", "")


def _row(queue: QueueStats) -> tuple[str, ...]:
    counts = [f"{count:,}" + "+" * (count == CAP) for count in queue.jobs.values()]
    age = duration(None if queue.oldest_ready is None else timedelta(seconds=queue.oldest_ready))
    return (queue.name, *counts, age, f"{queue.rate:,.1f}", str(queue.workers), "paused" if queue.paused else "")
