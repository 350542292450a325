"""`rqworker` as an operator runs it: stopped, killed, frozen, and with handlers that misbehave."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import Q

from queueing.models import Attempt, AttemptOutcome, Job, JobStatus
from tests.probe import tasks as probe
from tests.probe.tasks import said, say
from tests.stand_ins.twin import eventually

from .conftest import Start
from .processes import freeze, is_alive

LEASE = 2.0


def status(job: Job) -> str:
    return Job.objects.get(pk=job.pk).status


def succeeded(*jobs: Job) -> bool:
    return Job.objects.filter(pk__in=[job.pk for job in jobs], status=JobStatus.SUCCEEDED).count() == len(jobs)


def outcomes(job: Job) -> list[str]:
    return list(Attempt.objects.filter(job=job).order_by("number").values_list("outcome", flat=True))


def times(journal: Path, word: str) -> int:
    return sum(line.split()[1] == word for line in journal.read_text().splitlines())


def speakers(journal: Path, word: str) -> set[int]:
    """The processes that said so."""
    return {int(line.split()[0]) for line in journal.read_text().splitlines() if line.split()[1] == word}


def test_as_many_jobs_run_at_once_as_there_are_threads_and_the_rest_follows(start: Start, journal: Path) -> None:
    jobs = [probe.wait.enqueue(word="job", wanted="go") for _ in range(4)]
    fifth = probe.note.enqueue(word="fifth")
    start()

    eventually(lambda: times(journal, "job:starts") == 4, within=10)
    assert status(fifth) == JobStatus.READY
    say("go")

    eventually(lambda: succeeded(*jobs, fifth))
    assert times(journal, "job:ends") == 4


def test_the_parent_holds_no_connection_that_a_fork_would_share(start: Start) -> None:
    """The system checks have opened one, and SQLite's locks do not survive a fork; nor does PostgreSQL's protocol."""
    job = probe.nothing.enqueue()
    worker = start()
    eventually(lambda: succeeded(job), within=10)

    assert not [name for name in worker.open_files() if "sqlite3" in name or name.startswith("socket:")]


def test_jobs_of_one_key_run_one_at_a_time_and_in_order(start: Start, journal: Path) -> None:
    jobs = [probe.sleep.using(ordering_key="k").enqueue(word=f"{n}", seconds=0.02) for n in range(5)]
    start()

    eventually(lambda: succeeded(*jobs), within=10)

    words = [line.split()[1] for line in journal.read_text().splitlines()]
    assert words == [f"{n}:{step}" for n in range(5) for step in ("starts", "ends")]


def test_a_worker_that_is_told_to_stop_finishes_what_it_runs(start: Start) -> None:
    """Also where a process manager tells its whole group, so that the worker process hears of it twice."""
    running = probe.wait.enqueue(word="job", wanted="go")
    worker = start()
    eventually(lambda: said("job:starts"), within=10)

    worker.signal_all(signal.SIGTERM)
    time.sleep(0.5)
    late = probe.note.enqueue(word="late")
    time.sleep(0.5)
    say("go")

    assert worker.wait() == 0
    assert succeeded(running)
    assert (status(late), outcomes(running)) == (JobStatus.READY, [AttemptOutcome.SUCCEEDED])


def test_told_again_it_gives_back_what_still_runs_and_charges_nothing(start: Start) -> None:
    job = probe.complete_late.enqueue(word="job", wanted="never")
    worker = start()
    eventually(lambda: said("job:starts"), within=10)

    os.kill(worker.pid, signal.SIGTERM)
    time.sleep(0.3)
    assert status(job) == JobStatus.RUNNING
    os.kill(worker.pid, signal.SIGTERM)

    assert worker.wait(within=3) == 0
    job.refresh_from_db()
    assert (job.status, job.failures, job.crashes, job.suspect) == (JobStatus.READY, 0, 0, False)
    assert outcomes(job) == [AttemptOutcome.RELEASED]


def test_after_its_grace_it_gives_back_what_still_runs(start: Start) -> None:
    job = probe.complete_late.enqueue(word="job", wanted="never")
    worker = start(QUEUE_DRAIN_SECONDS=0.5)
    eventually(lambda: said("job:starts"), within=10)

    os.kill(worker.pid, signal.SIGTERM)

    assert worker.wait(within=3) == 0
    assert outcomes(job) == [AttemptOutcome.RELEASED]


def test_the_jobs_of_a_killed_worker_process_come_back_at_once(start: Start, journal: Path) -> None:
    jobs = [probe.wait.enqueue(word=word, wanted="go") for word in ("a", "b")]
    worker = start(QUEUE_LEASE_SECONDS=60)
    eventually(lambda: said("a:starts") and said("b:starts"), within=10)
    [child] = worker.children()

    os.kill(child, signal.SIGKILL)
    eventually(lambda: times(journal, "a:starts") == 2)
    assert times(journal, "b:starts") == 1, "what a dead worker ran is run again one at a time"
    say("go")

    eventually(lambda: succeeded(*jobs))
    assert {(job.crashes, job.failures) for job in Job.objects.all()} == {(0, 0)}
    assert outcomes(jobs[0]) == [AttemptOutcome.CRASHED, AttemptOutcome.SUCCEEDED]


def test_another_worker_takes_over_from_one_that_is_gone(start: Start, journal: Path) -> None:
    job = probe.wait.enqueue(word="job", wanted="go")
    first = start()
    eventually(lambda: said("job:starts"), within=10)
    start()

    killed = time.monotonic()
    first.signal_all(signal.SIGKILL)
    eventually(lambda: times(journal, "job:starts") == 2, within=LEASE + 5)
    assert time.monotonic() - killed < LEASE + 5
    say("go")

    eventually(lambda: succeeded(job))


def test_a_frozen_worker_that_wakes_up_changes_nothing(start: Start, journal: Path) -> None:
    job = probe.complete_late.enqueue(word="job", wanted="go")
    first = start()
    eventually(lambda: said("job:starts"), within=10)
    start()

    os.kill(first.pid, signal.SIGSTOP)
    for child in first.children():
        freeze(child)
    eventually(lambda: times(journal, "job:starts") == 2, within=LEASE + 5)
    time.sleep(LEASE)  # frozen for two leases, and more
    say("go")
    eventually(lambda: succeeded(job))
    first.signal_all(signal.SIGCONT)
    eventually(lambda: times(journal, "job:ends") == 2)

    assert Job.objects.filter(task="note").count() == 1, "its own writes were rolled back"
    assert outcomes(job) == [AttemptOutcome.CRASHED, AttemptOutcome.SUCCEEDED]
    after = probe.note.enqueue(word="after")
    eventually(lambda: succeeded(after))


def test_a_job_that_takes_its_process_with_it_dies_alone(start: Start, journal: Path) -> None:
    beside = [probe.wait.enqueue(word=f"beside{n}", wanted="go") for n in range(2)]
    start()
    eventually(lambda: said("beside0:starts") and said("beside1:starts"), within=10)
    say("go-on")
    poison = probe.exit_process.enqueue(word="boom")
    eventually(lambda: said("boom"))
    say("go")

    eventually(lambda: status(poison) == JobStatus.DEAD and succeeded(*beside), within=20)

    poison.refresh_from_db()
    assert (poison.crashes, poison.failures, times(journal, "boom")) == (3, 0, 4)
    assert outcomes(poison) == [AttemptOutcome.CRASHED] * 4
    assert not Job.objects.filter(~Q(crashes=0, failures=0), task="wait").exists()


def test_a_handler_that_never_returns_costs_its_attempt_and_the_process(start: Start, journal: Path) -> None:
    job = probe.hang.enqueue(word="hangs")
    beside = probe.wait.enqueue(word="beside", wanted="go")
    worker = start()
    eventually(lambda: said("hangs") and said("beside:starts"), within=10)
    old = worker.children()

    eventually(lambda: status(job) == JobStatus.DEAD)
    assert outcomes(job) == [AttemptOutcome.TIMED_OUT]
    assert worker.children() == old, "the others may finish first"
    say("go")
    eventually(lambda: succeeded(beside))
    following = probe.note.enqueue(word="following")

    eventually(lambda: succeeded(following))
    assert speakers(journal, "following") == set(worker.children()) != set(old)
    assert outcomes(beside) == [AttemptOutcome.SUCCEEDED]


def test_a_cancelled_handler_that_never_looks_is_given_up_too(start: Start) -> None:
    job = probe.hang.enqueue(word="hangs")
    start(QUEUE_HARD_TIMEOUT_GRACE_SECONDS=2)
    eventually(lambda: said("hangs"), within=10)
    Job.objects.filter(pk=job.pk).update(cancel_requested=True)

    eventually(lambda: status(job) in (JobStatus.CANCELLED, JobStatus.DEAD))


def test_a_running_job_is_cancelled_at_its_next_checkpoint(start: Start) -> None:
    job = probe.wait.enqueue(word="job", wanted="never")
    start()
    eventually(lambda: said("job:starts"), within=10)

    Job.objects.filter(pk=job.pk).update(cancel_requested=True)

    eventually(lambda: status(job) == JobStatus.CANCELLED)


def test_a_worker_process_whose_parent_is_gone_drains(start: Start) -> None:
    job = probe.wait.enqueue(word="job", wanted="go")
    worker = start()
    eventually(lambda: said("job:starts"), within=10)
    [child] = worker.children()
    suspect = probe.nothing.enqueue()  # nobody is there to be told of it
    Job.objects.filter(pk=suspect.pk).update(suspect=True)

    os.kill(worker.pid, signal.SIGKILL)
    time.sleep(1.5)
    late = probe.note.enqueue(word="late")
    say("go")

    eventually(lambda: not is_alive(child))
    assert succeeded(job)
    assert status(late) == JobStatus.READY


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the lock is SQLite's")
def test_a_locked_database_is_waited_for(start: Start) -> None:
    running = probe.wait.enqueue(word="job", wanted="go")
    worker = start()
    eventually(lambda: said("job:starts"), within=10)
    children = worker.children()

    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(5)  # longer than the lease, and than the time that a writer waits
        other.execute("ROLLBACK")
    say("go")
    following = probe.note.enqueue(word="following")

    eventually(lambda: succeeded(running, following), within=10)
    assert worker.children() == children
    running.refresh_from_db()
    assert (running.failures, running.crashes) == (0, 0)
    assert AttemptOutcome.CRASHED not in outcomes(running)


def test_a_burst_runs_what_is_ready_suspects_too_and_ends(start: Start) -> None:
    jobs = [probe.nothing.enqueue() for _ in range(3)]
    Job.objects.filter(pk=jobs[1].pk).update(suspect=True)
    later = probe.nothing.using(run_after=timedelta(hours=1)).enqueue()

    assert start("rqworker", "--burst").wait() == 0

    assert succeeded(*jobs)
    assert status(later) == JobStatus.SCHEDULED


def test_a_worker_is_replaced_after_so_many_jobs(start: Start, journal: Path) -> None:
    jobs = [probe.note.enqueue(word="job") for _ in range(7)]
    start("rqworker", "--threads", "1", "--max-jobs", "3")

    eventually(lambda: succeeded(*jobs), within=15)

    assert len(speakers(journal, "job")) == 3
    assert {outcome for job in jobs for outcome in outcomes(job)} == {AttemptOutcome.SUCCEEDED}


def test_a_worker_that_holds_too_much_memory_is_replaced_and_its_other_jobs_are_not_disturbed(
    start: Start, journal: Path
) -> None:
    other = probe.wait.enqueue(word="other", wanted="go")
    start("rqworker", "--threads", "2", "--max-memory", "400")
    eventually(lambda: said("other:starts"), within=10)
    hoard = probe.hoard.enqueue(word="hoard", mib=500)
    eventually(lambda: succeeded(hoard), within=10)
    time.sleep(1.5)  # the supervisor looks once a second
    late = probe.note.enqueue(word="late")
    say("go")

    eventually(lambda: succeeded(other, late), within=15)

    assert speakers(journal, "late").isdisjoint(speakers(journal, "hoard"))
    assert outcomes(other) == [AttemptOutcome.SUCCEEDED]
