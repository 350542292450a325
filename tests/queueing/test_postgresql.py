"""The queue on PostgreSQL: its bell, and a server that goes away while jobs run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection, transaction

from queueing.backends.postgresql import PostgreSQLBackend
from tests.conftest import ROOT
from tests.probe import tasks as probe
from tests.probe.tasks import journal as journal_path
from tests.probe.tasks import said, say
from tests.stand_ins.servers import PostgreSQL
from tests.stand_ins.twin import eventually

from .conftest import Claim, Start
from .processes import Process, is_alive

LEASE_SECONDS = 2
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="needs the test run's PostgreSQL")
on_a_server_of_its_own = pytest.mark.skipif(connection.vendor == "postgresql", reason="runs in the first run")


# --- The bell -------------------------------------------------------------------------------------------------------


class Listener:
    """A backend that listens in a thread, and when it would have woken its worker."""

    def __init__(self, *queue_names: str) -> None:
        self.woken: list[float] = []
        self._ended = threading.Event()
        arguments = {"wake": lambda: self.woken.append(time.monotonic()), "until": self._ended.is_set}
        backend = PostgreSQLBackend(urlsplit("database://"))
        self._thread = threading.Thread(target=backend.listen, args=(queue_names,), kwargs=arguments)
        self._thread.start()
        eventually(lambda: self.woken)  # it listens

    def hears(self, ring: Callable[[], object]) -> bool:
        before = len(self.woken)
        ring()
        time.sleep(0.2)
        return len(self.woken) > before

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def listener(transactional_db: None) -> Iterator[Listener]:
    listener = Listener("default")
    yield listener
    listener.end()


@on_postgresql
def test_a_ring_is_heard_after_the_commit_and_in_its_lane_alone(listener: Listener) -> None:
    assert listener.hears(probe.nothing.enqueue)
    assert not listener.hears(probe.tidy.enqueue)

    with transaction.atomic():
        assert not listener.hears(probe.nothing.enqueue)
        before = len(listener.woken)
    eventually(lambda: len(listener.woken) > before)


@on_postgresql
def test_of_rings_in_a_row_few_leave_and_the_last_is_not_missed(listener: Listener) -> None:
    """A ring stands for those that follow at once, so the worker is woken again after them."""
    backend = PostgreSQLBackend(urlsplit("database://"))
    before = len(listener.woken)
    for _ in range(500):
        backend.ring("default", [1])
    last = time.monotonic()
    time.sleep(0.1)

    assert listener.woken[-1] > last
    assert len(listener.woken) - before < 100


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_claim_does_not_wait_for_rows_that_another_worker_is_claiming(take: Claim) -> None:
    jobs = [probe.nothing.enqueue() for _ in range(4)]
    claimed = threading.Event()
    go_on = threading.Event()

    def claim_slowly() -> None:
        with transaction.atomic():
            taken.extend(job.pk for job in take(2, worker_id="slow"))
            claimed.set()
            go_on.wait(10)
        connection.close()

    taken: list[int] = []
    other = threading.Thread(target=claim_slowly)
    other.start()
    claimed.wait(10)
    started = time.monotonic()
    mine = [job.pk for job in take(4, worker_id="quick")]
    took = time.monotonic() - started
    go_on.set()
    other.join()

    assert took < 0.5
    assert sorted(taken + mine) == [job.pk for job in jobs]
    assert len(taken) == len(mine) == 2


# --- A server that goes away ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        env = os.environ | {"DATABASE_URL": server.create("migrated")}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=env, check=True)
        yield server


@pytest.fixture
def enqueue(server: PostgreSQL, journal: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """On a server of its own, which may be killed: another process enqueues there."""
    if not server.answers():
        server.start()
    server.execute("DROP DATABASE IF EXISTS queue WITH (FORCE)")
    server.execute("CREATE DATABASE queue TEMPLATE migrated")
    monkeypatch.setenv("DATABASE_URL", server.database("queue"))

    def enqueue(call: str) -> None:
        code = f"import django; django.setup(); from tests.probe.tasks import *; {call}"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)

    return enqueue


@pytest.fixture
def worker(server: PostgreSQL, enqueue: Callable[[str], None], start: Start) -> Process:
    return start("rqworker", "--threads", "4", DATABASE_URL=server.database("queue"))


def statuses(server: PostgreSQL, task: str) -> list[object]:
    rows = server.execute(f"SELECT status FROM queueing_job WHERE task = '{task}' ORDER BY id", database="queue")
    return [status for (status,) in rows]


def starts(word: str) -> int:
    return journal_path().read_text().count(f"{word}:starts")


@on_a_server_of_its_own
def test_a_worker_survives_the_restart_of_its_server(
    server: PostgreSQL, worker: Process, enqueue: Callable[[str], None]
) -> None:
    enqueue("wait.enqueue(word='job', wanted='go')")
    eventually(lambda: said("job:starts"), within=20)
    children = worker.children()
    server.kill()
    time.sleep(1)
    server.start()
    say("go")

    eventually(lambda: said("job:ends"), within=10)
    eventually(lambda: statuses(server, "wait") == ["succeeded"], within=10)
    enqueue("note.enqueue(word='following')")
    eventually(lambda: said("following"), within=5)
    assert worker.children() == children
    waits = "SELECT extract(epoch FROM started_at - enqueued_at) FROM queueing_job WHERE task = 'note'"
    [(waited,)] = server.execute(waits, database="queue")
    assert float(str(waited)) < 0.5, "the bell rings again"


@on_a_server_of_its_own
def test_a_job_whose_server_was_lost_for_longer_than_its_lease_counts_once(
    server: PostgreSQL, worker: Process, enqueue: Callable[[str], None]
) -> None:
    """Its own end comes too late to count, and what it would have written is not there."""
    enqueue("complete_late.enqueue(word='job', wanted='go')")
    eventually(lambda: said("job:starts"), within=20)
    server.kill()
    time.sleep(LEASE_SECONDS)
    say("go")
    eventually(lambda: said("job:ends"), within=10)
    server.start()

    eventually(lambda: statuses(server, "complete_late") == ["succeeded"], within=20)
    eventually(lambda: statuses(server, "note") == ["succeeded"], within=10)
    assert starts("job") == 2
    assert is_alive(worker.pid)


@on_a_server_of_its_own
def test_a_server_that_hangs_for_longer_than_the_lease_is_waited_for(
    server: PostgreSQL, worker: Process, enqueue: Callable[[str], None]
) -> None:
    enqueue("complete_late.enqueue(word='job', wanted='go')")
    eventually(lambda: said("job:starts"), within=20)
    children = worker.children()
    server.pause()
    time.sleep(2 * LEASE_SECONDS)
    server.resume()
    say("go")

    eventually(lambda: statuses(server, "complete_late") == ["succeeded"], within=20)
    eventually(lambda: statuses(server, "note") == ["succeeded"], within=10)
    assert set(children) <= set(worker.children())
