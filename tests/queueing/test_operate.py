"""Retry and cancel by hand: what becomes of one job, of the others of its ordering key, and of a worker at work."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from queueing.backends import get_backend
from queueing.claim import claim
from queueing.fairness import Fairness
from queueing.models import FINISHED, UNFINISHED, Job, JobStatus
from queueing.operate import cancel, retry
from queueing.settle import succeed

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LATER = NOW + timedelta(minutes=10)


def stored(status: JobStatus, **fields: Any) -> Job:
    """A job that has come to `status`."""
    finished_at = NOW if status in FINISHED else None
    return Job.objects.create(
        **{
            "task": "deliver_message",
            "status": status,
            "run_after": NOW,
            "enqueued_at": NOW,
            "finished_at": finished_at,
        }
        | fields
    )


def chain(*statuses: JobStatus, **fields: Any) -> list[Job]:
    """Jobs of one ordering key, the oldest first."""
    return [stored(status, ordering_key="send:1", **fields) for status in statuses]


def statuses(*jobs: Job) -> list[str]:
    return [Job.objects.get(pk=job.pk).status for job in jobs]


def claim_one() -> list[int]:
    claimed = claim(
        queue_names=["default"],
        limit=1,
        worker_id="w",
        lease=timedelta(minutes=1),
        now=NOW,
        fairness=Fairness(),
        running=Counter(),
    )
    return [job.pk for job in claimed]


@pytest.fixture(autouse=True)
def one_job_of_a_key_may_go(db: None) -> Any:
    """Whatever a test did: of each ordering key, only the oldest unfinished job is not blocked."""
    yield
    for key in Job.objects.exclude(ordering_key="").values_list("ordering_key", flat=True).distinct():
        unfinished = Job.objects.filter(ordering_key=key, status__in=UNFINISHED).order_by("pk")
        assert [job.status for job in unfinished[1:]] == [JobStatus.BLOCKED] * (len(unfinished) - 1)
        assert not unfinished or unfinished[0].status != JobStatus.BLOCKED


@pytest.mark.parametrize("status", [JobStatus.DEAD, JobStatus.CANCELLED])
def test_a_finished_job_starts_afresh(status: JobStatus) -> None:
    job = stored(
        status, attempt=10, failures=10, crashes=2, suspect=True, cancel_requested=True,
        reason="ConnectError", expires_at=NOW, run_after=NOW - timedelta(days=1),
    )  # fmt: skip

    assert retry([job.pk]).done == [job.pk]

    job.refresh_from_db()
    assert (job.status, job.failures, job.crashes, job.suspect) == (JobStatus.READY, 0, 0, False)
    assert (job.cancel_requested, job.reason, job.finished_at, job.expires_at) == (False, "", None, None)
    assert job.run_after >= NOW
    assert job.attempt == 10, "the fence never goes back, or a worker that was given up could still write"


def test_a_scheduled_job_runs_now_and_keeps_what_it_has_been_through() -> None:
    job = stored(JobStatus.SCHEDULED, run_after=LATER, failures=3, expires_at=LATER)

    assert retry([job.pk]).done == [job.pk]

    job.refresh_from_db()
    assert (job.status, job.failures, job.expires_at) == (JobStatus.READY, 3, LATER)
    assert job.run_after < LATER


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (JobStatus.READY, "waits for its turn"),
        (JobStatus.RUNNING, "is running"),
        (JobStatus.SUCCEEDED, "has succeeded"),
    ],
)
def test_what_needs_no_retry_is_skipped_with_the_reason(status: JobStatus, reason: str) -> None:
    job = stored(status)

    report = retry([job.pk])

    assert report.done == []
    assert reason in report.skipped[job.pk]
    assert statuses(job) == [status]


def test_a_job_that_is_gone_is_skipped_and_the_others_are_not() -> None:
    dead = stored(JobStatus.DEAD)

    report = retry([dead.pk + 1, dead.pk])

    assert report.done == [dead.pk]
    assert "does not exist" in report.skipped[dead.pk + 1]


def test_a_retry_rings_for_the_job_after_the_commit(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rings: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(type(get_backend()), "ring", lambda self, *ring: rings.append(ring))
    job = stored(JobStatus.DEAD, queue_name="slow")

    with django_capture_on_commit_callbacks(execute=True):
        retry([job.pk])
        assert rings == []

    assert rings == [("slow", [job.pk])]


def test_an_older_dead_job_goes_before_one_that_is_ready() -> None:
    dead, ready, blocked = chain(JobStatus.DEAD, JobStatus.READY, JobStatus.BLOCKED)

    assert retry([dead.pk]).done == [dead.pk]

    assert statuses(dead, ready, blocked) == [JobStatus.READY, JobStatus.BLOCKED, JobStatus.BLOCKED]
    assert claim_one() == [dead.pk]
    succeed([Job.objects.get(pk=dead.pk)], now=NOW)
    assert statuses(ready, blocked) == [JobStatus.READY, JobStatus.BLOCKED]


def test_an_older_dead_job_goes_before_a_head_that_waits_for_its_backoff() -> None:
    dead, head = chain(JobStatus.DEAD, JobStatus.SCHEDULED)
    Job.objects.filter(pk=head.pk).update(run_after=LATER, failures=2)

    assert retry([dead.pk]).done == [dead.pk]
    assert statuses(dead, head) == [JobStatus.READY, JobStatus.BLOCKED]

    claim_one()
    succeed([Job.objects.get(pk=dead.pk)], now=NOW)
    head.refresh_from_db()
    assert (head.status, head.run_after, head.failures) == (JobStatus.SCHEDULED, LATER, 2)


def test_while_a_later_job_runs_an_older_one_stays_dead() -> None:
    dead, running, blocked = chain(JobStatus.DEAD, JobStatus.RUNNING, JobStatus.BLOCKED)

    report = retry([dead.pk])

    assert report.done == []
    assert f"job {running.pk}" in report.skipped[dead.pk]
    assert statuses(dead, running, blocked) == [JobStatus.DEAD, JobStatus.RUNNING, JobStatus.BLOCKED]


@pytest.mark.parametrize("status", [JobStatus.READY, JobStatus.SCHEDULED, JobStatus.RUNNING])
def test_a_dead_job_waits_behind_an_older_unfinished_one(status: JobStatus) -> None:
    head, dead, blocked = chain(status, JobStatus.DEAD, JobStatus.BLOCKED)

    assert retry([dead.pk]).done == [dead.pk]

    assert statuses(head, dead, blocked) == [status, JobStatus.BLOCKED, JobStatus.BLOCKED]


def test_two_dead_jobs_of_one_key_come_back_in_their_order() -> None:
    first, second, ready = chain(JobStatus.DEAD, JobStatus.DEAD, JobStatus.READY)

    assert retry([second.pk, first.pk]).done == [first.pk, second.pk]

    assert statuses(first, second, ready) == [JobStatus.READY, JobStatus.BLOCKED, JobStatus.BLOCKED]


def test_a_dead_job_stays_dead_while_another_waits_under_its_unique_key() -> None:
    dead, head = chain(JobStatus.DEAD, JobStatus.SCHEDULED, unique_key="answer:1")

    report = retry([dead.pk])

    assert "unique key" in report.skipped[dead.pk]
    assert statuses(dead, head) == [JobStatus.DEAD, JobStatus.SCHEDULED], "the head gave way to nobody"


def test_a_dead_job_comes_back_beside_a_running_one_of_its_unique_key() -> None:
    dead = stored(JobStatus.DEAD, unique_key="answer:1")
    stored(JobStatus.RUNNING, unique_key="answer:1")

    assert retry([dead.pk]).done == [dead.pk]


@pytest.mark.parametrize("status", [JobStatus.SCHEDULED, JobStatus.READY, JobStatus.BLOCKED])
def test_a_waiting_job_is_cancelled_at_once(status: JobStatus) -> None:
    job = stored(status)

    assert cancel([job.pk]).done == [job.pk]

    job.refresh_from_db()
    assert (job.status, job.reason) == (JobStatus.CANCELLED, "cancelled by a person")
    assert job.finished_at is not None


def test_a_cancelled_head_lets_the_next_of_its_key_go() -> None:
    head, following, last = chain(JobStatus.SCHEDULED, JobStatus.BLOCKED, JobStatus.BLOCKED)

    cancel([head.pk])

    assert statuses(head, following, last) == [JobStatus.CANCELLED, JobStatus.READY, JobStatus.BLOCKED]


def test_a_cancelled_job_in_the_middle_changes_nothing_for_the_others() -> None:
    head, middle, last = chain(JobStatus.RUNNING, JobStatus.BLOCKED, JobStatus.BLOCKED)

    cancel([middle.pk])

    assert statuses(head, middle, last) == [JobStatus.RUNNING, JobStatus.CANCELLED, JobStatus.BLOCKED]


def test_a_running_job_is_asked_to_stop_and_stays_with_its_worker() -> None:
    job = stored(JobStatus.READY)
    assert claim_one() == [job.pk]

    report = cancel([job.pk])

    assert (report.done, report.asked) == ([], [job.pk])
    job.refresh_from_db()
    assert (job.status, job.cancel_requested) == (JobStatus.RUNNING, True)


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.DEAD, JobStatus.CANCELLED])
def test_what_has_ended_is_not_cancelled(status: JobStatus) -> None:
    job = stored(status)

    report = cancel([job.pk])

    assert "has ended" in report.skipped[job.pk]
    assert statuses(job) == [status]
