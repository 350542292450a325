"""Tasks whose effects tell who had them: a row is enqueued in the transaction that ends the job."""

from __future__ import annotations

import time
from datetime import timedelta

from queueing.context import JobContext
from queueing.tasks import task
from tests.probe.tasks import said, say


@task
def effect() -> None:
    """The row is the effect."""


@task(takes_context=True, timeout=timedelta(seconds=30))
def write_late(context: JobContext) -> None:
    """Starts, and writes only when it is told so: each attempt apart."""
    attempt = context.job.attempt
    say(f"{attempt}:starts")
    while not said(f"{attempt}:go"):
        time.sleep(0.01)
    try:
        with context.complete():
            effect.using(subject=f"attempt:{attempt}").enqueue()
    finally:
        say(f"{attempt}:ends")
