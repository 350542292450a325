"""`rqworker`'s small parent: forks the worker, respawns it, and has the jobs of a worker that died run alone.

It opens no database connection and starts no thread, so a fork of it is clean. It sleeps in `sigwait`: all that it reacts
to is a signal, handled in one place.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from .backends import get_backend
from .supervisor import Supervisor
from .worker import RECYCLED, Worker, new_worker_id

logger = logging.getLogger(__name__)

SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}
MAX_RESPAWN_SECONDS = 30.0


@dataclass(slots=True)
class Child:
    """A worker process. `alone`: it runs the jobs of workers that died, one at a time."""

    pid: int
    worker_id: str
    alone: bool


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
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._fork(alone=False)
        while self.children:
            signal_number = signal.sigwait(SIGNALS)
            if signal_number == signal.SIGCHLD:
                self._reap()
            elif signal_number == signal.SIGUSR1:
                self._run_suspects()
            else:
                self.stopping = True
                for pid in self.children:
                    os.kill(pid, signal.SIGTERM)
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
        self.deaths_in_a_row = self.deaths_in_a_row + 1 if died else 0
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
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            if self.deaths_in_a_row > 1:
                time.sleep(min(2.0 ** (self.deaths_in_a_row - 2), MAX_RESPAWN_SECONDS))
            worker = self.make_worker(
                worker_id=worker_id,
                only_suspects=alone,
                until_idle=alone or self.burst,
                on_suspects=lambda: os.kill(parent_pid, signal.SIGUSR1),
            )
            code = work(worker, parent_pid=parent_pid, dead_worker_id=dead_worker_id)
        except Exception:
            logger.exception("worker %s could not go on", worker_id)
        finally:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # a handler that never returns holds a thread; leaving in order would wait for it


def work(worker: Worker, *, parent_pid: int, dead_worker_id: str | None) -> int:
    """A worker process: the ledger's loop and the supervisor in threads, rings and signals here. Returns the exit code."""

    def stop(*_: object) -> None:
        worker.stop(grace=0 if worker.stopping else settings.QUEUE_DRAIN_SECONDS)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    Supervisor(worker, parent_pid=parent_pid).start()
    ledger = threading.Thread(target=worker.run, args=(dead_worker_id,), name="ledger", daemon=True)
    ledger.start()
    get_backend().listen(worker.queue_names, wake=worker.wake, until=lambda: not ledger.is_alive())
    return worker.exit_code
