"""What the twin does later: each action at its time, on its own thread, so that a slow webhook holds up no other."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Agenda:
    """Threads are daemons: the twin ends at once, and whoever starts it again resumes from the journal."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()  # entries of one moment run in the order in which they were added
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="agenda", daemon=True).start()

    def add(self, delay: float, action: Callable[[], object]) -> None:
        """Run `action` in `delay` seconds."""
        with self._changed:
            heapq.heappush(self._entries, (time.monotonic() + delay, next(self._numbers), action))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._entries or self._entries[0][0] > time.monotonic():
                    self._changed.wait(self._entries[0][0] - time.monotonic() if self._entries else None)
                _, _, action = heapq.heappop(self._entries)
            threading.Thread(target=action, daemon=True).start()
