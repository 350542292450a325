"""A claim takes what is ready, in order, each job once; and finds it by an index, however many jobs there are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from queueing.claim import claim_suspect
from queueing.clock import database_now
from queueing.models import Job, JobStatus
from queueing.promote import next_due, promote_due
from queueing.rescue import rescue_expired, rescue_worker
from queueing.service import QueueService
from queueing.settle import fail, succeed
from tests.probe.tasks import nothing, tidy

from .conftest import Claim
from .plans import plans

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def test_a_claim_bumps_the_attempt_and_writes_the_lease(take: Claim) -> None:
    enqueued = nothing.enqueue()
    now = database_now()

    [job] = take(now=now, worker_id="w7", lease=MINUTE)

    assert job.pk == enqueued.pk
    assert (job.status, job.attempt, job.worker_id) == (JobStatus.RUNNING, 1, "w7")
    assert (job.lease_until, job.started_at) == (now + MINUTE, now)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.lease_until) == (JobStatus.RUNNING, 1, now + MINUTE)


def test_the_first_lane_first_then_the_highest_priority_then_the_oldest(take: Claim) -> None:
    low, other, high, last = QueueService.enqueue_many(
        [(nothing.using(priority=-5), {}), (tidy.using(priority=100), {}), (nothing, {}), (nothing, {})]
    )

    assert [job.pk for job in take(limit=2)] == [high.pk, last.pk]
    assert [job.pk for job in take()] == [low.pk, other.pk]
    assert take() == []


def test_a_lane_that_is_not_served_is_left_alone(take: Claim) -> None:
    tidy.enqueue()
    assert take(queue_names=["default"]) == []


def test_what_waits_is_not_claimed(take: Claim) -> None:
    nothing.using(run_after=MINUTE).enqueue()
    head, blocked = (nothing.using(ordering_key="k").enqueue() for _ in range(2))

    assert [job.pk for job in take()] == [head.pk]
    assert Job.objects.get(pk=blocked.pk).status == JobStatus.BLOCKED


def test_a_suspect_is_claimed_only_alone(take: Claim) -> None:
    suspects = [nothing.enqueue(), tidy.enqueue()]
    Job.objects.update(suspect=True)

    assert take() == []
    for expected in suspects:
        [job] = claim_suspect(worker_id="w1", lease=MINUTE, now=database_now())
        assert (job.pk, job.suspect) == (expected.pk, True)


def test_the_database_refuses_a_second_running_job_of_one_key(take: Claim) -> None:
    nothing.using(ordering_key="k").enqueue()
    nothing.using(ordering_key="k").enqueue()
    Job.objects.update(status=JobStatus.READY)  # as if the promotion had erred

    with pytest.raises(IntegrityError, match="ordering_key"):
        take()


# --- Indexes --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan is SQLite's")
def test_every_look_of_the_worker_and_of_an_enqueue_uses_an_index(take: Claim) -> None:
    keyed = nothing.using(ordering_key="k", unique_key="u", scheduled_for=database_now())
    looks = {
        "job_claim": take,
        "job_suspects": lambda: claim_suspect(worker_id="w1", lease=MINUTE, now=database_now()),
        "job_due": lambda: (promote_due(database_now()), next_due()),
        "job_leases": lambda: (rescue_expired(database_now()), rescue_worker("w0", database_now())),
        "job_chain": keyed.enqueue,
        "one_waiting_per_unique_key": nothing.using(unique_key="u").enqueue,
        "one_job_per_grid_point": keyed.enqueue,
    }
    for index, look in looks.items():
        with plans() as found:
            look()
        assert any(index in step for step in found), (index, found)
        assert not any(step == "SCAN queueing_job" for step in found), (index, found)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan is SQLite's")
def test_the_end_of_an_attempt_uses_an_index(take: Claim) -> None:
    for key in ("a", "b"):
        nothing.using(ordering_key=key, unique_key=key).enqueue()
    well, badly = take()

    with plans() as found, transaction.atomic():
        succeed([well], now=database_now())
        fail(badly, ValueError(), now=database_now())

    assert any("job_chain" in step for step in found)
    assert any("one_waiting_per_unique_key" in step for step in found)
    assert not any(step == "SCAN queueing_job" for step in found), found
