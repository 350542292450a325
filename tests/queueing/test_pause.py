"""A paused queue rests, on a worker that runs and in a process that starts; the others do not notice."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from queueing.backends.immediate import run_ready_jobs
from queueing.claim import claim_suspect
from queueing.clock import database_now
from queueing.models import Job, JobStatus, Queue
from queueing.pause import Lanes, pause, resume
from tests.probe.tasks import note, nothing, said, say, tidy, wait
from tests.stand_ins.twin import eventually

from .conftest import Start

pytestmark = pytest.mark.django_db


def manage(*arguments: str) -> None:
    call_command(*arguments, verbosity=0)


def settled(job: Job) -> bool:
    return Job.objects.get(pk=job.pk).status == JobStatus.SUCCEEDED


def test_a_worker_starts_nothing_of_a_paused_queue_until_it_is_resumed(start: Start, journal: Path) -> None:
    running = wait.enqueue(word="running", wanted="go")
    start()
    eventually(lambda: said("running:starts"), within=10)

    manage("queue_pause", "default", "--reason", "the provider is down")
    time.sleep(1.2)
    waiting, elsewhere = note.enqueue(word="waiting"), tidy.enqueue()
    eventually(lambda: settled(elsewhere), within=5)
    note.using(run_after=timedelta(milliseconds=100)).enqueue(word="due")
    time.sleep(1)
    assert not said("waiting")
    assert not said("due")

    say("go")
    eventually(lambda: settled(running), within=5)

    manage("queue_resume", "default")
    eventually(lambda: settled(waiting) and said("due"), within=5)


def test_a_worker_that_starts_knows_what_is_paused(start: Start, journal: Path) -> None:
    pause("default", by="ana", now=database_now())
    job = note.enqueue(word="waiting")

    assert start("rqworker", "--burst").wait() == 0
    assert Job.objects.get(pk=job.pk).status == JobStatus.READY

    resume("default")
    assert start("rqworker", "--burst").wait() == 0
    assert settled(job)


def test_a_suspect_of_a_paused_queue_waits_too(start: Start, journal: Path) -> None:
    job, other = note.enqueue(word="waiting"), tidy.enqueue()
    Job.objects.update(suspect=True)
    pause("default", by="ana", now=database_now())
    start()

    eventually(lambda: settled(other), within=10)
    time.sleep(1.5)
    assert Job.objects.get(pk=job.pk).status == JobStatus.READY
    [claimed] = claim_suspect(worker_id="w1", lease=timedelta(minutes=1), now=database_now())
    assert claimed.pk == job.pk


def test_what_is_paused_is_read_once_a_second() -> None:
    lanes = Lanes(["default", "maintenance"])
    assert lanes.open() == ["default", "maintenance"]
    assert set(Queue.objects.values_list("name", flat=True)) == {"default", "maintenance"}

    pause("default", by="ana", now=database_now())
    with CaptureQueriesContext(connection) as queries:
        for _ in range(100):
            assert lanes.open() == ["default", "maintenance"]
    assert len(queries) == 0

    time.sleep(1.01)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(100):
            assert (lanes.open(), lanes.paused()) == (["maintenance"], {"default"})
    assert len(queries) == 1


@pytest.mark.django_db(transaction=True)
def test_the_backend_that_runs_at_once_knows_pauses() -> None:
    job = nothing.enqueue()
    pause("default", by="ana", now=database_now())
    run_ready_jobs()
    assert not settled(job)
    resume("default")
    run_ready_jobs()
    assert settled(job)


def test_readiness_does_not_depend_on_pauses(client: Client) -> None:
    ready = client.get("/readyz").status_code
    pause("default", by="ana", now=database_now())
    assert client.get("/readyz").status_code == ready == 200


def test_a_pause_says_who_when_and_why() -> None:
    manage("queue_pause", "maintenance", "--reason", "a long weekend")
    queue = Queue.objects.get(name="maintenance")
    assert (queue.paused_by, queue.reason) == ("command line", "a long weekend")
    assert queue.paused_at
    assert database_now() - queue.paused_at < timedelta(seconds=10)

    manage("queue_resume", "maintenance")
    queue.refresh_from_db()
    assert (queue.paused_at, queue.paused_by, queue.reason) == (None, "", "")


def test_a_slip_of_the_pen_is_refused() -> None:
    with pytest.raises(CommandError, match="There are: default, maintenance"):
        manage("queue_pause", "defautl")
    with pytest.raises(CommandError, match="Paused: none"):
        manage("queue_resume", "default")
    assert not Queue.objects.exists()
