"""Plays scenarios, each on a fresh installation, with real processes that cost a fork instead of a start.

This process has imported Django and the product, holds the socket that the web process listens on, and has neither
threads nor database connections, so whatever it forks starts clean: web, worker (the product's own `Parent`, which
forks again) and scheduler. It stands for the process manager too: what dies is started again. Nothing of the product is
replaced; only its times are shortened.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.utils.module_loading import import_string

import queueing.parent
import queueing.worker
from channels_twilio import channel, reconcile, views  # noqa: F401  (views: warm)
from conversations import attempt, outbox
from conversations.models import KnowledgeEntry, Workspace
from queueing import backoff
from queueing.backends import SCHEMES
from queueing.parent import Parent
from queueing.worker import Worker
from tests.stand_ins.servers import PR_SET_PDEATHSIG, _prctl
from tests.stand_ins.twin import TwinProcess

from . import points
from .backends import Backend, Installation
from .evidence import EVERYONE, Evidence
from .mutants import Mutant
from .points import Fatal, Points

ROLES = ("web", "worker", "alone", "second worker", "scheduler")
WORDS = ("alpaca", "baobab", "cinnamon", "dolphin", "eucalyptus", "flamingo", "gondola", "hazelnut")

LONG = "encyclopedia"  # its answer needs two parts


def knowledge_of(word: str) -> str:
    """What the offline assistant quotes to whoever writes `word`: so the twin's journal tells what was answered."""
    return f"All about the {word}." + " And so on." * 200 * (word == LONG)


@dataclass(slots=True)
class Run:
    """One scenario being played."""

    installation: Installation
    contact: str
    fatals: Sequence[Fatal]
    journal: Path
    mutant: Mutant | None = None
    processes: dict[int, str] = field(default_factory=dict)
    lives: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, len(ROLES)))

    def disturb(self, pid: int) -> None:
        """Note that a process was held up: what is taken from it is not robbed."""
        with self.journal.open("a") as journal:
            journal.write(f"killed\tworker\t0\t0\tfrozen\t\t{pid}\n")

    def next_life(self, role: str) -> int:
        """0 for the first process of that role; the count is shared with those who are forked."""
        place = ROLES.index(role)
        life = self.lives[place]
        self.lives[place] = life + 1
        return life


class Stage:
    """
    Args:
        listener: the socket at PUBLIC_BASE_URL.
        directory: for files, of which `processes.log` holds what the processes say.
    """

    def __init__(self, backend: Backend, listener: socket.socket, directory: Path) -> None:
        self.backend, self.listener, self.directory = backend, listener, directory
        self.log = directory / "processes.log"
        self.twin_journal = directory / "twin.sqlite3"
        self.installations = 0
        points.install()
        shorten_times()
        self.application = get_wsgi_application()
        import_string(SCHEMES[urlsplit(settings.QUEUE_URL).scheme])  # warm too: boto3 takes long
        self.in_child(_prepare)
        inbound = f"{settings.PUBLIC_BASE_URL}/webhooks/twilio/inbound/"
        self.twin = TwinProcess(
            public_base_url=settings.PUBLIC_BASE_URL,
            journal=self.twin_journal,
            port=settings.TWIN_PORT,
            pace=0.01,
            # As we advise for Twilio itself: tried again at once, whatever went wrong, and then by the fallback URL.
            options=("--inbound-url", f"{inbound}#rc=5&rp=all", "--fallback-url", inbound),
        )

    def close(self) -> None:
        if self.twin.process.poll() is None:
            self.twin.stop()

    # --- playing ----------------------------------------------------------------------------------------------------

    def play(
        self,
        act: Callable[[Stage, Run], None],
        *,
        faults: Sequence[dict[str, Any]] = (),
        fatals: Sequence[Fatal] = (),
        services: tuple[str, ...] = ("web", "worker"),
        done: Callable[[Evidence], bool] | None = None,
        mutant: Mutant | None = None,
        everyone: bool = False,
        within: float = 20,
    ) -> Evidence:
        """Start the services, let `act` happen, and wait until everything has come to its end.

        Args:
            faults: what the twin does wrong to this run's contact.
            done: whether everything that is to happen has happened.
            mutant: what is broken in the services.
            everyone: the faults are for all contacts, and all are judged; then no other run may be on this stage.
            within: seconds until it is taken as it is.
        """
        self.installations += 1
        number = self.installations
        run = Run(
            self.backend.fresh(number),
            EVERYONE if everyone else f"whatsapp:+1555{number:07}",
            fatals,
            self.directory / f"points{number}.tsv",
            mutant,
        )
        os.environ["PROBE_JOURNAL"] = str(self.directory / f"probe{number}")
        if mutant and mutant.statements:
            self.in_installation(run, partial(_execute, mutant.statements))
        whom = {} if everyone else {"to": run.contact}
        self.twin.play([{**fault, "match": {**whom, **fault.get("match", {})}} for fault in faults])
        began = time.monotonic()
        try:
            for service in services:
                self.start(run, service)
            act(self, run)
            while True:
                self.tend(run)
                evidence = Evidence.gather(self, run)
                if time.monotonic() - began > within:
                    break
                ended = done or Evidence.is_complete
                # Twice: the ledger is asked before the twin, and news that came in between may set something going.
                if ended(evidence) and ended(Evidence.gather(self, run)):
                    if "scheduler" not in run.processes.values():
                        break
                    self.end(run, "scheduler")  # or there would never be an end
                    done = Evidence.is_at_rest
                time.sleep(0.03)
        finally:
            self.end(run)
        evidence = Evidence.gather(self, run)  # again: the ledger and the twin were asked one after the other
        evidence.seconds = time.monotonic() - began
        return evidence

    def start(self, run: Run, service: str) -> int:
        pid = self.fork(partial(self._serve, run, service))
        run.processes[pid] = service
        return pid

    def _serve(self, run: Run, service: str) -> None:
        self._settle_in(run, service)
        SERVICES[service](self, run)

    def _settle_in(self, run: Run, service: str) -> None:
        """In a forked process: from here on it belongs to that installation."""
        settings.QUEUE_URL = run.installation.queue_url
        connections.settings["default"]["NAME"] = run.installation.database
        if run.mutant and run.mutant.service in ("", service):
            run.mutant.apply()

    def in_installation(self, run: Run, work: Callable[[], object]) -> None:
        """Run `work` on the run's database, as broken as the run is."""

        def settled() -> None:
            self._settle_in(run, "")
            work()

        self.in_child(settled)

    def tend(self, run: Run) -> None:
        """What has died is started again."""
        for pid, service in list(run.processes.items()):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del run.processes[pid]
                self.start(run, service)

    def end(self, run: Run, *services: str) -> None:
        """Kill these services, or all, with everything that they have forked."""
        for pid in [pid for pid, service in run.processes.items() if not services or service in services]:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del run.processes[pid]

    # --- forking ----------------------------------------------------------------------------------------------------

    def fork(self, role: Callable[[], object]) -> int:
        """A process of its own session, which ends with this one. Returns its pid."""
        pid = os.fork()
        if pid:
            with suppress(PermissionError, ProcessLookupError):
                os.setpgid(pid, pid)  # both sides do it: whoever signals the group must find it
            return pid
        code = 1
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.dup2(log, 1)
            os.dup2(log, 2)
            role()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:  # noqa: BLE001  (whatever it was, this process must not go on as the stage)
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def in_child(self, work: Callable[[], object]) -> None:
        """Run what needs a database in a process of its own. Raises RuntimeError, with the log, when it fails."""

        def and_close() -> None:
            work()
            connections.close_all()

        _, status = os.waitpid(self.fork(and_close), 0)
        if status:
            raise RuntimeError(self.log.read_text())


def arm(run: Run, role: str) -> None:
    """In a forked process: count, and die where this life of this role is to."""
    life = run.next_life(role)
    fatal = next((fatal for fatal in run.fatals if (fatal.role, fatal.life) == (role, life)), None)
    points.arm(Points(role, life, fatal, run.journal))


# --- The services ---------------------------------------------------------------------------------------------------


def _web(stage: Stage, run: Run) -> None:
    arm(run, "web")
    server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler, bind_and_activate=False)
    server.socket.close()
    server.socket = stage.listener
    server.server_name, server.server_port = stage.listener.getsockname()
    server.daemon_threads = True
    server.setup_environ()
    server.set_app(stage.application)
    server.serve_forever()


def _worker(stage: Stage, run: Run, role: str = "worker") -> None:
    def make(**options: Any) -> Worker:
        arm(run, "alone" if options["only_suspects"] else role)
        return Worker(threads=4, **options)

    sys.exit(Parent(make, burst=False).run())


def _scheduler(stage: Stage, run: Run) -> None:
    arm(run, "scheduler")
    call_command("rqscheduler")


SERVICES: dict[str, Callable[[Stage, Run], None]] = {
    "web": _web,
    "worker": _worker,
    "second worker": partial(_worker, role="second worker"),
    "scheduler": _scheduler,
}


# --- Preparation ----------------------------------------------------------------------------------------------------


def shorten_times() -> None:
    """What takes seconds or minutes takes a fraction of it; nothing else is changed, and no order."""
    queueing.worker.POLL_SECONDS = 0.1
    queueing.worker.RESCUE_SECONDS = 0.1
    queueing.parent.MAX_RESPAWN_SECONDS = 0.05
    attempt.LOOKUPS = (timedelta(seconds=0.1), timedelta(seconds=0.3), timedelta(seconds=0.6))
    outbox.RESENDS = (timedelta(seconds=2.5),)
    channel.CLOCK_SKEW = timedelta(seconds=1.2)  # Twilio's times are cut to whole seconds
    reconcile.SETTLED = reconcile.OVERLAP = timedelta(0)
    delay = backoff.Backoff.delay
    backoff.Backoff.delay = lambda self, failures: delay(self, failures) / 20  # type: ignore[method-assign]


def _execute(statements: Sequence[str]) -> None:
    with connections["default"].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _prepare() -> None:
    call_command("setup")
    workspace = Workspace.objects.get()
    for word in (*WORDS, LONG):
        KnowledgeEntry.objects.create(workspace=workspace, title=word, body=knowledge_of(word))
