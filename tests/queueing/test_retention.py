"""What ended long ago goes, in batches that an index finds; everything else stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queueing import retention
from queueing.clock import database_now
from queueing.context import JobContext
from queueing.errors import JobCancelled
from queueing.models import Attempt, AttemptOutcome, Job, JobStatus
from queueing.periodic import declared_cadences
from queueing.retention import prune_attempts, prune_batch, prune_jobs
from tests.probe.tasks import nothing

from .conftest import Claim

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def ended(status: JobStatus, days_ago: float, **fields: Any) -> Job:
    then = database_now() - days_ago * DAY
    job = Job.objects.create(
        task="nothing", status=status, run_after=then, enqueued_at=then, finished_at=then, **fields
    )
    attempted(job, days_ago)
    return job


def attempted(job: Job, days_ago: float, number: int = 1) -> Attempt:
    then = database_now() - days_ago * DAY
    return Attempt.objects.create(job=job, number=number, **at(then), outcome=AttemptOutcome.DEFERRED)


def at(moment: datetime) -> dict[str, Any]:
    """Of an attempt that took no time."""
    return {"worker_id": "w", "due_at": moment, "started_at": moment, "finished_at": moment}


@pytest.fixture
def prune(take: Claim) -> Callable[[], JobContext]:
    """Runs the task as a worker does."""

    def prune() -> JobContext:
        prune_jobs.enqueue()
        [job] = take(limit=1)
        context = JobContext(job, timeout=prune_jobs.timeout.total_seconds())
        prune_jobs.handler(context)
        return context

    return prune


def left() -> set[int]:
    return set(Job.objects.filter(task="nothing").values_list("pk", flat=True))


def test_what_has_ended_long_ago_goes_with_its_attempts(prune: Callable[[], JobContext]) -> None:
    kept = [
        ended(JobStatus.SUCCEEDED, 6.9),
        ended(JobStatus.CANCELLED, 6.9),
        ended(JobStatus.DEAD, 89.9),
    ]
    for status, days in ((JobStatus.SUCCEEDED, 7.1), (JobStatus.CANCELLED, 7.1), (JobStatus.DEAD, 90.1)):
        ended(status, days)
    waiting = nothing.using(run_after=DAY).enqueue()
    Job.objects.filter(pk=waiting.pk).update(enqueued_at=database_now() - 365 * DAY)

    prune()

    assert left() == {waiting.pk, *(job.pk for job in kept)}
    assert Attempt.objects.count() == len(kept)


def test_what_it_enqueued_stays_without_its_parent(prune: Callable[[], JobContext]) -> None:
    parent = ended(JobStatus.SUCCEEDED, 8)
    child = ended(JobStatus.SUCCEEDED, 1, parent=parent)
    prune()
    assert left() == {child.pk}
    child.refresh_from_db()
    assert child.parent is None


def test_a_job_that_runs_for_months_keeps_its_last_attempts(prune: Callable[[], JobContext]) -> None:
    job = nothing.using(run_after=DAY).enqueue()
    for number, days in enumerate((200, 100, 91, 89, 1), start=1):
        attempted(job, days, number)
    prune()
    assert list(job.attempts.order_by("number").values_list("number", flat=True)) == [4, 5]


def test_it_goes_on_batch_by_batch_and_stops_when_it_is_told(
    prune: Callable[[], JobContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        ended(JobStatus.SUCCEEDED, 8)

    def cancel(seconds: float) -> None:
        Job.objects.filter(task="prune_jobs").update(cancel_requested=True)

    with monkeypatch.context() as told:
        told.setattr(time, "sleep", cancel)
        with suppress(JobCancelled):
            prune()
    assert len(left()) == 1  # two batches: it looks after each

    Job.objects.filter(task="prune_jobs").delete()
    prune()
    assert not left()


def test_it_leaves_the_rest_to_the_next_run_when_its_time_is_over(
    prune: Callable[[], JobContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "RESERVE_SECONDS", 3600)
    for _ in range(5):
        ended(JobStatus.SUCCEEDED, 8)
    prune()
    assert len(left()) == 3


def test_it_comes_every_hour() -> None:
    assert str(declared_cadences()["prune_jobs"]) == "every 1:00:00"


# --- Cost -----------------------------------------------------------------------------------------------------------


def fill(jobs: int, *, ended_at: datetime) -> None:
    """Jobs that succeeded, each with an attempt."""
    times = {"run_after": ended_at, "enqueued_at": ended_at, "finished_at": ended_at}
    rows = Job.objects.bulk_create(Job(task="nothing", status=JobStatus.SUCCEEDED, **times) for _ in range(jobs))
    Attempt.objects.bulk_create(
        Attempt(job=row, number=1, **at(ended_at), outcome=AttemptOutcome.SUCCEEDED) for row in rows
    )


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan is SQLite's")
def test_a_batch_is_found_by_indexes() -> None:
    now = database_now()
    fill(10, ended_at=now - 8 * DAY)
    with CaptureQueriesContext(connection) as queries:
        assert prune_batch(JobStatus.SUCCEEDED, before=now - 7 * DAY) == 10
        prune_attempts(before=now - 90 * DAY)

    plans: list[str] = []
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            if query["sql"].startswith(("SELECT", "UPDATE", "DELETE")):
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                plans += [row[3] for row in cursor.fetchall()]
    assert any("job_ended" in plan for plan in plans), plans
    assert any("job_by_parent" in plan for plan in plans), plans
    assert any("queueing_attempt USING COVERING INDEX" in plan and "job_id=?" in plan for plan in plans), plans
    scans = [plan for plan in plans if plan.startswith("SCAN")]
    assert scans == ["SCAN queueing_attempt"], plans  # by its key, in order, for one batch
    assert not any("TEMP B-TREE" in plan for plan in plans), plans


def test_a_batch_costs_the_same_in_a_large_ledger() -> None:
    """The database's own check that nothing refers to a deleted job must find its index too."""
    now = database_now()
    fill(1_000, ended_at=now - 8 * DAY)

    def seconds() -> float:
        started = time.perf_counter()
        assert prune_batch(JobStatus.SUCCEEDED, before=now - 7 * DAY) == retention.BATCH
        return time.perf_counter() - started

    alone = seconds()
    fill(20_000, ended_at=now - DAY)
    assert seconds() < max(10 * alone, 0.5)  # a scan for each of the 500 jobs would read 10 million rows
