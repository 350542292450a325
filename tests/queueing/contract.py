"""What every backend must do, tried against the real thing. docs/backends.md says how to run it on one of your own.

The workers are processes, the ledger is a database, and the carrier is a server that is killed, frozen and emptied.
"""

from __future__ import annotations

import json
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction
from pytest_django import Settings

from queueing import backends
from queueing.errors import BackendUnavailable
from queueing.models import Attempt, AttemptOutcome, Job, JobStatus
from queueing.service import QueueService
from tests.probe import tasks as probe
from tests.probe.tasks import said, say
from tests.stand_ins.servers import Server
from tests.stand_ins.twin import eventually

from .conftest import Start
from .processes import Process, freeze

LEASE_SECONDS = 2
ENQUEUE_SECONDS = 0.5  # the most that a carrier may add to an enqueue, in whatever state it is
FOUND_SECONDS = 5.0  # a job without a ring is found by the worker's own look, which comes every second
RINGS_AT_ONCE = 10
CANARY = "canary-5511987654321"


class BackendContract:
    """A test class inherits it and says by its fixture `queue_url` what `QUEUE_URL` is."""

    @pytest.fixture
    def queue_url(self) -> str:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _on_this_backend(self, queue_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        settings.QUEUE_URL = queue_url
        monkeypatch.setenv("QUEUE_URL", queue_url)  # for the processes
        backends._backend.cache_clear()  # no client and no breaker of another test
        yield
        backends._backend.cache_clear()

    @pytest.fixture
    def worker(self, start: Start) -> Process:
        """One that is ready: it has run a job."""
        process = start("rqworker", "--threads", "4", QUEUE_LEASE_SECONDS=LEASE_SECONDS)
        first = probe.nothing.enqueue()
        eventually(lambda: succeeded(first), within=20)
        return process

    def test_a_job_runs_soon_after_its_commit(self, worker: Process) -> None:
        """The worker's own look comes once a second; this is the ring."""
        eventually(lambda: sum(wait < 0.3 for wait in waits(6)) >= 5, within=20)

    def test_a_transaction_that_is_rolled_back_leaves_nothing(self, worker: Process) -> None:
        with suppress(Undo), transaction.atomic():
            probe.note.enqueue(word="never")
            raise Undo
        after = probe.note.enqueue(word="after")

        eventually(lambda: succeeded(after))
        assert not said("never")
        assert Job.objects.filter(task="note").count() == 1

    def test_many_jobs_at_once_all_run_once(self, worker: Process) -> None:
        jobs = QueueService.enqueue_many([(probe.nothing, {})] * 300)

        eventually(lambda: succeeded(*jobs), within=30)
        assert Attempt.objects.filter(job__in=jobs).count() == 300

    def test_a_delayed_job_runs_on_time(self, worker: Process) -> None:
        job = probe.nothing.using(run_after=timedelta(seconds=1.5)).enqueue()

        eventually(lambda: succeeded(job), within=10)
        job.refresh_from_db()
        assert job.started_at
        assert 0 <= (job.started_at - job.run_after).total_seconds() < 0.8

    def test_two_workers_share(self, start: Start) -> None:
        for _ in range(2):
            start("rqworker", "--threads", "1")
        jobs = [probe.sleep.enqueue(word=f"job{n}", seconds=0.5) for n in range(8)]

        eventually(lambda: succeeded(*jobs), within=30)
        assert Attempt.objects.filter(job__in=jobs).count() == 8
        assert Attempt.objects.filter(job__in=jobs).values("worker_id").distinct().count() == 2

    def test_the_job_of_a_machine_that_is_lost_runs_again(self, worker: Process, start: Start) -> None:
        job = probe.wait.enqueue(word="job", wanted="go")
        eventually(lambda: said("job:starts"))
        other = start("rqworker", "--threads", "4", QUEUE_LEASE_SECONDS=LEASE_SECONDS)
        os.kill(worker.pid, signal.SIGSTOP)  # its parent takes nothing back
        worker.signal_all(signal.SIGKILL)
        killed = time.monotonic()
        say("go")

        eventually(lambda: succeeded(job), within=LEASE_SECONDS + 5)
        assert time.monotonic() - killed < LEASE_SECONDS + 5
        outcomes = list(Attempt.objects.filter(job=job).order_by("number").values_list("outcome", flat=True))
        assert outcomes == [AttemptOutcome.CRASHED, AttemptOutcome.SUCCEEDED]
        assert other.children()

    def test_a_worker_ends_soon_when_it_is_told_to(self, worker: Process) -> None:
        worker.signal_all(signal.SIGTERM)
        assert worker.wait(within=5) == 0

    def test_a_backend_that_works_passes_its_own_check(self, worker: Process) -> None:
        QueueService.check()


class Carrier(ABC):
    """What the suite does with a carrier that is not the ledger's own database."""

    server: Server  # killed, frozen and started again
    url: str  # the QUEUE_URL

    @abstractmethod
    def prepare(self) -> None:
        """Make it empty, and able to take rings before any worker has started."""

    @abstractmethod
    def take(self) -> list[str]:
        """The rings that wait in the lane `default`, which it then holds no more."""

    @abstractmethod
    def put(self, *rings: str) -> None:
        """Add these to the lane `default`, whatever they are."""

    @abstractmethod
    def everything(self) -> str:
        """All that it holds, as far as it can be asked."""


class CarrierContract(BackendContract):
    """For a backend with a carrier of its own. The test class gives it by its fixture `carrier`."""

    @pytest.fixture
    def carrier(self) -> Carrier:
        raise NotImplementedError

    @pytest.fixture
    def queue_url(self, carrier: Carrier) -> Iterator[str]:
        if not carrier.server.answers():
            carrier.server.start()
        carrier.prepare()
        yield carrier.url
        if carrier.server.process and carrier.server.process.poll() is None:
            carrier.server.resume()

    @pytest.mark.django_db(transaction=True)
    def test_a_ring_holds_the_id_of_its_job_and_nothing_of_its_payload(self, carrier: Carrier) -> None:
        job = probe.note.using(subject=CANARY, ordering_key=CANARY, correlation_id=CANARY).enqueue(word=CANARY)

        assert CANARY not in carrier.everything()
        [ring] = carrier.take()
        assert str(job.pk) in ring
        assert CANARY not in ring

    @pytest.mark.django_db(transaction=True)
    def test_nothing_rings_for_what_is_rolled_back(self, carrier: Carrier) -> None:
        with suppress(Undo), transaction.atomic():
            probe.nothing.enqueue()
            raise Undo
        assert carrier.take() == []
        probe.nothing.enqueue()
        assert len(carrier.take()) == 1

    @pytest.mark.django_db(transaction=True)
    def test_many_jobs_ring_a_few_times(self, carrier: Carrier) -> None:
        QueueService.enqueue_many([(probe.nothing, {})] * 1_000)
        assert 1 <= len(carrier.take()) <= RINGS_AT_ONCE

    def test_a_job_whose_ring_is_lost_runs(self, carrier: Carrier, worker: Process) -> None:
        for child in worker.children():
            freeze(child)
        jobs = [probe.nothing.enqueue() for _ in range(3)]
        carrier.prepare()
        for child in worker.children():
            os.kill(child, signal.SIGCONT)

        eventually(lambda: succeeded(*jobs), within=LEASE_SECONDS + FOUND_SECONDS)

    def test_rings_that_are_doubled_late_strange_or_wrong_harm_nobody(self, carrier: Carrier, worker: Process) -> None:
        children = worker.children()
        freeze(children[0])
        job = probe.note.enqueue(word="job")
        rings = carrier.take() or [json.dumps({"job": job.pk})]  # a worker that was listening may hold it already
        unknown = [ring.replace(str(job.pk), "999999999") for ring in rings]
        nonsense = [
            "{",
            "[]",
            "null",
            "{}",
            '{"job": "x"}',
            '{"job": null}',
            '{"job": -1}',
            "9" * 500,
            "no ring at all",
        ]
        carrier.put(*rings, *rings, *unknown, *nonsense)
        os.kill(children[0], signal.SIGCONT)
        eventually(lambda: succeeded(job), within=FOUND_SECONDS)
        carrier.put(*rings)  # it has ended
        following = probe.note.enqueue(word="following")

        eventually(lambda: succeeded(following), within=FOUND_SECONDS)
        eventually(lambda: carrier.take() == [], within=10)
        assert worker.children() == children
        assert [job.attempt for job in Job.objects.filter(task="note")] == [1, 1]

    @pytest.mark.parametrize("fault", ["kill", "pause"])
    def test_a_carrier_that_is_down_or_hangs_delays_no_enqueue_and_loses_no_job(
        self, carrier: Carrier, worker: Process, fault: str
    ) -> None:
        children = worker.children()
        getattr(carrier.server, fault)()
        took, jobs = [], []
        for _ in range(5):
            started = time.monotonic()
            jobs.append(probe.nothing.enqueue())
            took.append(time.monotonic() - started)

        assert max(took) < ENQUEUE_SECONDS
        assert sum(took) < 2 * ENQUEUE_SECONDS, "the breaker spares those that follow"
        eventually(lambda: succeeded(*jobs), within=FOUND_SECONDS)
        started = time.monotonic()
        with pytest.raises(BackendUnavailable):
            QueueService.check()
        assert time.monotonic() - started < 1
        assert worker.children() == children

    def test_a_carrier_that_comes_back_empty_rings_again(self, carrier: Carrier, worker: Process) -> None:
        children = worker.children()
        carrier.server.kill()
        probe.nothing.enqueue()
        time.sleep(2)
        carrier.server.start()

        eventually(lambda: sum(wait < 0.3 for wait in waits(6)) >= 5, within=40)
        assert worker.children() == children


class Undo(Exception):
    """Rolls a transaction back."""


def succeeded(*jobs: Job) -> bool:
    return Job.objects.filter(pk__in=[job.pk for job in jobs], status=JobStatus.SUCCEEDED).count() == len(jobs)


def waits(count: int) -> list[float]:
    """Seconds from enqueue to start, of so many jobs for which an idle worker is woken."""
    jobs = []
    for number in range(count):
        time.sleep(0.15 + 0.03 * number)
        jobs.append(probe.nothing.enqueue())
    eventually(lambda: succeeded(*jobs), within=10)
    rows = Job.objects.filter(pk__in=[job.pk for job in jobs])
    return [(row.started_at - row.enqueued_at).total_seconds() for row in rows if row.started_at]
