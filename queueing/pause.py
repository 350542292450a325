"""Queues that rest: no job of theirs starts. What runs goes on, and what is enqueued is stored and rung for as ever."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from .models import Queue

LOOK_SECONDS = 1.0


def pause(name: str, *, by: str, now: datetime, reason: str = "") -> None:
    """Let no job of this queue start: at once on a worker that looks now, after `LOOK_SECONDS` at the latest.

    Args:
        by: who does it, for the screens.
    """
    Queue.objects.update_or_create(name=name, defaults={"paused_at": now, "paused_by": by, "reason": reason})


def resume(name: str) -> None:
    """Let the jobs of this queue start again, those first that would have been first."""
    Queue.objects.filter(name=name).update(paused_at=None, paused_by="", reason="")


def paused_queues() -> frozenset[str]:
    """The names of the queues that rest."""
    return frozenset(Queue.objects.exclude(paused_at=None).values_list("name", flat=True))


class Lanes:
    """The queues that a worker serves. Which of them rest is read once a second, so a claim does not pay for it."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._paused: frozenset[str] | None = None
        self._look_at = 0.0

    def paused(self) -> frozenset[str]:
        """The queues that rest, as of a second ago at most. The first look makes the rows of those that are served."""
        if self._paused is None:
            Queue.objects.bulk_create([Queue(name=name) for name in self.names], ignore_conflicts=True)
        if self._paused is None or time.monotonic() >= self._look_at:
            self._paused = paused_queues()
            self._look_at = time.monotonic() + LOOK_SECONDS
        return self._paused

    def open(self) -> list[str]:
        """Those that do not rest, the first one first."""
        return [name for name in self.names if name not in self.paused()]
