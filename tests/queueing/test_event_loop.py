"""The loop that all handler threads of a process share."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from queueing import event_loop


async def thread_name() -> str:
    await asyncio.sleep(0.05)
    return threading.current_thread().name


def test_many_threads_are_served_by_one() -> None:
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda _: event_loop.run(thread_name(), timeout=5), range(8)))
    assert set(names) == {"event-loop"}
    assert sum(thread.name == "event-loop" for thread in threading.enumerate()) == 1


def test_what_the_coroutine_raises_is_raised() -> None:
    async def fail() -> None:
        raise LookupError("not here")

    with pytest.raises(LookupError, match="not here"):
        event_loop.run(fail(), timeout=5)


def test_a_coroutine_that_takes_too_long_is_cancelled() -> None:
    cancelled = threading.Event()

    async def sleep() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        event_loop.run(sleep(), timeout=0.1)
    assert time.monotonic() - started < 0.5
    assert cancelled.is_set()


def test_nobody_waits_for_a_loop_that_is_held_up() -> None:
    async def block() -> None:
        time.sleep(1)

    with ThreadPoolExecutor(1) as thread:
        blocked = thread.submit(event_loop.run, block(), timeout=5)
        time.sleep(0.1)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            event_loop.run(thread_name(), timeout=0.1)
        assert time.monotonic() - started < 0.6
        blocked.result()


def test_a_forked_child_starts_a_loop_of_its_own() -> None:
    event_loop.run(thread_name(), timeout=5)
    if (child := os.fork()) == 0:
        try:
            event_loop.run(thread_name(), timeout=5)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert event_loop.run(thread_name(), timeout=5) == "event-loop"
