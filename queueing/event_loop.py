"""One event loop for all handler threads of a worker process: asyncio clients keep their connections in it.

A client of an asyncio library belongs to the loop that it was first used on. Handlers run in threads, so they hand
their coroutines to one loop, started by the first of them in a thread of its own. A coroutine must never block: it
would hold up every other handler's call.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

GRACE_SECONDS = 0.25  # what a cancelled coroutine may take to close its connections


class _EventLoop:
    """The process's loop and the lock under which it is started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._running is None:
                self._running = asyncio.new_event_loop()
                threading.Thread(target=self._running.run_forever, name="event-loop", daemon=True).start()
            return self._running


_event_loop = _EventLoop()


def run(coroutine: Coroutine[Any, Any, Result], *, timeout: float) -> Result:
    """Run `coroutine` in the process's event loop and wait for what it returns or raises.

    Args:
        timeout: seconds until it is cancelled.

    Raises TimeoutError when it took longer; also when the loop itself is held up by a coroutine that blocks.
    """
    future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, timeout), _event_loop.get())
    try:
        return future.result(timeout + GRACE_SECONDS)
    finally:
        future.cancel()  # nobody waits for it any more; does nothing to a coroutine that has ended


def _forget() -> None:
    """A forked child has no thread for its parent's loop, and may have its lock closed: it starts a loop of its own."""
    global _event_loop
    _event_loop = _EventLoop()


os.register_at_fork(after_in_child=_forget)
