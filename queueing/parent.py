"""`rqworker`'s small parent: forks the worker, respawns it, and has the jobs of a worker that died run alone.

It holds no database connection and starts no thread, so a fork of it is clean. It sleeps in `sigwait`: all that it
reacts to is a signal, handled in one place. Signals stay blocked in its children too, where a thread waits for them: a
signal handler, run in the midst of other code, could wait for a lock that this code holds.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from django.conf import settings
from django.db import connections

from . import tracing
from .backends import get_backend
from .supervisor import Supervisor
from .worker import RECYCLED, Worker, new_worker_id

logger = logging.getLogger(__name__)

SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}
DRAIN, RELEASE = signal.SIGTERM, signal.SIGUSR2  # to a child. Whoever signals a whole group sends it SIGTERM twice
MAX_RESPAWN_SECONDS = 30.0
STEADY_SECONDS = 60.0  # who has lived so long did not die of its start


@dataclass(slots=True)
class Child:
    """A worker process. `alone`: it runs the jobs of workers that died, one at a time."""

    pid: int
    worker_id: str
    alone: bool
    started: float = field(default_factory=time.monotonic)


class Parent:
    """Keeps one worker alive, and beside it, when needed, one that runs suspects."""

    def __init__(self, make_worker: Callable[..., Worker], *, burst: bool) -> None:
        """
        Args:
            make_worker: makes the Worker from `worker_id`, `only_suspects`, `until_idle` and `on_suspects`.
            burst: end when nothing is ready.
        """
        self.make_worker = make_worker
        self.burst = burst
        self.children: dict[int, Child] = {}
        self.stopping = False
        self.deaths_in_a_row = 0

    def run(self) -> int:
        """Work until told to stop. Returns the exit code."""
        _give_back_connections()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS | {RELEASE})
        self._fork(alone=False)
        while self.children:
            signal_number = signal.sigwait(SIGNALS)
            if signal_number == signal.SIGCHLD:
                self._reap()
            elif signal_number == signal.SIGUSR1:
                self._run_suspects()
            else:
                for pid in self.children:
                    os.kill(pid, RELEASE if self.stopping else DRAIN)
                self.stopping = True
        return 0

    def _reap(self) -> None:
        for child in list(self.children.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                del self.children[pid]
                self._after(child, os.waitstatus_to_exitcode(status))

    def _after(self, child: Child, code: int) -> None:
        died = code not in (0, RECYCLED)
        if died:
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            logger.error("worker %s died: %s", child.worker_id, name)
            steady = time.monotonic() - child.started > STEADY_SECONDS
            self.deaths_in_a_row = 1 if steady else self.deaths_in_a_row + 1
        elif not child.alone:
            self.deaths_in_a_row = 0
        ended = code == 0 and (child.alone or self.burst)
        if not ended and not self.stopping:
            self._fork(alone=child.alone, dead_worker_id=child.worker_id if died else None)

    def _run_suspects(self) -> None:
        if not self.stopping and not any(child.alone for child in self.children.values()):
            self._fork(alone=True)

    def _fork(self, *, alone: bool, dead_worker_id: str | None = None) -> None:
        """Start a worker process. It takes back the jobs of `dead_worker_id` first: their leases need not run out."""
        parent_pid = os.getpid()
        worker_id = new_worker_id()
        pid = os.fork()
        if pid:
            self.children[pid] = Child(pid, worker_id, alone)
            return
        code = 1
        try:
            worker = self.make_worker(
                worker_id=worker_id,
                only_suspects=alone,
                until_idle=alone or self.burst,
                on_suspects=partial(_tell_parent, parent_pid),
            )
            pause = min(2.0 ** (self.deaths_in_a_row - 2), MAX_RESPAWN_SECONDS) if self.deaths_in_a_row > 1 else 0.0
            code = work(worker, parent_pid=parent_pid, dead_worker_id=dead_worker_id, pause=pause)
        except Exception:
            logger.exception("worker %s could not go on", worker_id)
        finally:
            tracing.flush()
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # a handler that never returns holds a thread; leaving in order would wait for it


def work(worker: Worker, *, parent_pid: int, dead_worker_id: str | None, pause: float) -> int:
    """A worker process: ledger, supervisor and signals in threads, rings here. Returns the exit code.

    Args:
        pause: seconds to wait first, after one process has died after the other.
    """
    threading.Thread(target=_obey, args=(worker,), name="signals", daemon=True).start()
    worker.rest(pause)
    supervisor = Supervisor(worker, parent_pid=parent_pid)
    ledger = threading.Thread(target=worker.run, args=(dead_worker_id,), name="ledger", daemon=True)
    supervisor.start()
    ledger.start()
    get_backend().listen(
        worker.queue_names, wake=worker.wake, until=lambda: not (ledger.is_alive() and supervisor.is_alive())
    )
    return worker.exit_code


def _obey(worker: Worker) -> None:
    while True:
        told = signal.sigwait({DRAIN, RELEASE})
        worker.stop(grace=settings.QUEUE_DRAIN_SECONDS if told == DRAIN else 0)


def _tell_parent(parent_pid: int) -> None:
    """Suspects wait. Where the parent is gone nobody can be told, and its pid may be another's by now."""
    if os.getppid() == parent_pid:
        os.kill(parent_pid, signal.SIGUSR1)


def _give_back_connections() -> None:
    """What the system checks have opened must not be shared with a fork."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if connection.vendor == "postgresql":
            connection.close_pool()  # type: ignore[attr-defined]  # only this vendor's has one
