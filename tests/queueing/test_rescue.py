"""Jobs whose worker is gone come back as suspects; only one that ran alone is charged."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DataError

from queueing import rescue
from queueing.claim import claim_suspect
from queueing.clock import database_now
from queueing.models import Job, JobStatus
from queueing.rescue import rescue_expired, rescue_worker
from tests.probe.tasks import mortal, nothing

from .conftest import Claim

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def states() -> list[tuple[str, bool, int]]:
    return [(job.status, job.suspect, job.crashes) for job in Job.objects.order_by("pk")]


def test_a_lease_that_runs_is_left_alone(take: Claim) -> None:
    nothing.enqueue()
    take(lease=MINUTE)
    assert rescue_expired(database_now()) == 0
    assert states() == [(JobStatus.RUNNING, False, 0)]


def test_jobs_of_an_expired_lease_come_back_as_suspects_and_are_charged_nothing(take: Claim) -> None:
    nothing.enqueue()
    nothing.using(ordering_key="k").enqueue()
    nothing.using(ordering_key="k").enqueue()
    take(lease=MINUTE)

    assert rescue_expired(database_now() + 2 * MINUTE) == 2

    ready = (JobStatus.READY, True, 0)
    assert states() == [ready, ready, (JobStatus.BLOCKED, False, 0)]
    assert {job.attempts.get().outcome for job in Job.objects.filter(suspect=True)} == {"crashed"}


def test_a_dead_worker_gives_back_its_own_jobs_at_once(take: Claim) -> None:
    nothing.enqueue()
    nothing.enqueue()
    take(limit=1, worker_id="dead")
    take(limit=1, worker_id="alive")

    assert rescue_worker("dead", database_now()) == 1

    assert [status for status, *_ in states()] == [JobStatus.READY, JobStatus.RUNNING]


def test_three_crashes_alone_are_the_end_and_leave_word(take: Claim) -> None:
    mortal.using(ordering_key="k").enqueue(word="x")
    take()
    rescue_worker("w1", database_now())
    for crashes in range(3):
        assert states() == [(JobStatus.READY, True, crashes)]
        claim_suspect(worker_id="alone", lease=MINUTE, now=database_now())
        rescue_worker("alone", database_now())

    dead, word = Job.objects.order_by("pk")
    assert (dead.status, dead.crashes, dead.failures) == (JobStatus.DEAD, 3, 0)
    assert "died each time" in dead.reason
    assert (word.task, word.status) == ("bury", JobStatus.READY)


def test_a_cancelled_job_does_not_come_back(take: Claim) -> None:
    nothing.enqueue()
    take()
    Job.objects.update(cancel_requested=True)

    assert rescue_worker("w1", database_now()) == 1

    assert states()[0][0] == JobStatus.CANCELLED


def test_one_that_cannot_be_written_does_not_keep_the_others_from_coming_back(
    take: Claim, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison = nothing.enqueue()
    others = [nothing.enqueue() for _ in range(3)]
    take()
    crash = rescue.crash

    def refuse_one(job: Job, **options: object) -> bool:
        ended = crash(job, **options)  # type: ignore[arg-type]
        if job.pk == poison.pk:
            raise DataError("a value that the database does not take")
        return ended

    monkeypatch.setattr(rescue, "crash", refuse_one)
    assert rescue_worker("w1", database_now()) == 3

    assert [Job.objects.get(pk=job.pk).status for job in others] == [JobStatus.READY] * 3
    assert f"job {poison.pk}" in caplog.text
