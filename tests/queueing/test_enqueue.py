"""What comes through the door becomes one job, whole, or nothing; what does not fit is refused at the door."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from queueing.backends import get_backend
from queueing.clock import database_now
from queueing.current import working_on
from queueing.errors import InvalidPayload, UnknownTask
from queueing.models import Job, JobStatus
from queueing.service import MAX_PAYLOAD_BYTES, QueueService
from queueing.settle import fail, succeed
from queueing.tasks import Debounce
from tests.probe.tasks import note, nothing, perishable, tidy

from .conftest import Claim

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[int]]]:
    """What the backend is asked to ring for."""
    heard: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(type(get_backend()), "ring", lambda self, *ring: heard.append(ring))
    return heard


def test_a_job_is_stored_as_its_task_says() -> None:
    before = database_now()

    job = QueueService.enqueue("perishable")

    job.refresh_from_db()
    assert (job.task, job.queue_name, job.status, job.priority) == ("perishable", "default", JobStatus.READY, 0)
    assert (job.attempt, job.failures, job.crashes, job.payload) == (0, 0, 0, {})
    assert before <= job.enqueued_at == job.run_after <= database_now()
    assert job.expires_at == job.enqueued_at + timedelta(hours=1)


def test_it_waits_as_long_as_it_is_told_to() -> None:
    delayed = nothing.using(run_after=SECOND).enqueue()
    moment = database_now() + SECOND
    timed = nothing.using(run_after=moment).enqueue()
    past = nothing.using(run_after=moment - 2 * SECOND).enqueue()

    assert (delayed.status, delayed.run_after) == (JobStatus.SCHEDULED, delayed.enqueued_at + SECOND)
    assert (timed.status, timed.run_after) == (JobStatus.SCHEDULED, moment)
    assert past.status == JobStatus.READY


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"word": object()}, "is not JSON"),
        ({"word": {1, 2}}, "is not JSON"),
        ({"word": float("nan")}, "is not JSON"),
        ({"word": "\udc80"}, "is not JSON"),
        ({"word": "a NUL \x00"}, "NUL"),
        ({"word": {"\\\x00": 1}}, "NUL"),
        ({"word": "ä" * (MAX_PAYLOAD_BYTES // 2)}, "bytes, more than"),
        ({}, "word is missing"),
        ({"word": "x", "colour": "red"}, "does not take colour"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused(payload: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidPayload, match=why):
        note.enqueue(**payload)
    assert not Job.objects.exists()


@pytest.mark.parametrize("word", ["", "\\u0000", "é 👋 \\", "\x1f", {"a": [None, 1.5, True, 2**70]}, "x" * 60_000])
def test_a_payload_comes_back_as_it_was(word: object) -> None:
    job = note.enqueue(word=word)
    job.refresh_from_db()
    assert job.payload == {"word": word}


@pytest.mark.parametrize(
    "options",
    [{"priority": 101}, {"priority": -101}, {"ordering_key": "k" * 101}, {"correlation_id": "c" * 65}],
    ids=lambda options: next(iter(options)),
)
def test_options_that_no_row_could_hold_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayload):
        nothing.using(**options).enqueue()


def test_a_task_that_nobody_declares_is_refused() -> None:
    with pytest.raises(UnknownTask, match="'nobody'"):
        QueueService.enqueue("nobody")


# --- Transactions and rings -----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_no_job_and_no_ring(rings: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError(nothing.enqueue())

    assert not Job.objects.exists()
    assert rings == []


@pytest.mark.django_db(transaction=True)
def test_the_ring_follows_the_commit_with_nothing_but_ids(rings: list[Any]) -> None:
    with transaction.atomic():
        job = nothing.enqueue()
        assert rings == []

    assert rings == [("default", [job.pk])]


@pytest.mark.django_db(transaction=True)
def test_many_jobs_are_one_transaction_and_one_ring_for_each_lane(rings: list[Any]) -> None:
    with pytest.raises(InvalidPayload):
        QueueService.enqueue_many([(nothing, {}), (note, {})])
    assert not Job.objects.exists()

    keyed = nothing.using(ordering_key="k")
    calls = [(nothing, {}), (tidy, {}), (keyed, {}), ("note", {"word": "x"}), (keyed, {})]
    jobs = QueueService.enqueue_many(calls)

    assert [job.task for job in jobs] == ["nothing", "tidy", "nothing", "note", "nothing"]
    assert [job.status for job in jobs] == [JobStatus.READY] * 4 + [JobStatus.BLOCKED]
    assert sorted(rings) == [("default", [jobs[n].pk for n in (0, 2, 3, 4)]), ("maintenance", [jobs[1].pk])]


# --- Keys -----------------------------------------------------------------------------------------------------------


def test_jobs_of_one_ordering_key_wait_for_each_other_in_their_order(take: Claim) -> None:
    keyed = nothing.using(ordering_key="k")
    jobs = [keyed.enqueue() for _ in range(3)]
    other = nothing.using(ordering_key="other").enqueue()

    assert [job.status for job in jobs] == [JobStatus.READY, JobStatus.BLOCKED, JobStatus.BLOCKED]
    assert other.status == JobStatus.READY

    for job in jobs:
        [claimed] = [claimed for claimed in take() if claimed.ordering_key == "k"]
        assert claimed.pk == job.pk
        assert keyed.enqueue().status == JobStatus.BLOCKED
        succeed([claimed], now=database_now())


def test_a_head_that_waits_for_its_backoff_is_not_overtaken(take: Claim) -> None:
    keyed = perishable.using(ordering_key="k")
    keyed.enqueue()
    [head] = take()
    fail(head, ValueError(), now=database_now())
    Job.objects.update(status=JobStatus.SCHEDULED, run_after=database_now() + SECOND)

    assert keyed.enqueue().status == JobStatus.BLOCKED
    assert take() == []


def test_one_job_at_most_waits_under_a_unique_key(take: Claim) -> None:
    unique = note.using(unique_key="u")
    first = unique.enqueue(word="first")

    assert unique.enqueue(word="second").pk == first.pk

    take()
    second = unique.enqueue(word="second")
    assert second.pk != first.pk, "a running one does not read what comes now"
    assert unique.enqueue(word="third").pk == second.pk


def test_one_job_at_most_for_each_point_of_a_schedule() -> None:
    point = database_now()
    first = nothing.using(scheduled_for=point).enqueue()
    Job.objects.update(status=JobStatus.SUCCEEDED, finished_at=point)

    assert nothing.using(scheduled_for=point).enqueue().pk == first.pk
    assert nothing.using(scheduled_for=point + SECOND).enqueue().pk != first.pk
    assert tidy.using(scheduled_for=point).enqueue().pk != first.pk


# --- Debounce -------------------------------------------------------------------------------------------------------

debounced = note.using(unique_key="u", debounce=Debounce(quiet=10 * SECOND, longest=15 * SECOND))


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The clock of the database, so many seconds after the test's start."""
    monkeypatch.setattr("queueing.service.database_now", lambda: START + seconds * SECOND)


START = timezone.now()


def test_later_enqueues_push_the_job_that_waits_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    due = []
    for moment in (0, 3, 7, 12):
        at(monkeypatch, moment)
        due.append((debounced.enqueue(word="x").run_after - START).total_seconds())

    assert due == [10, 13, 15, 15]
    assert Job.objects.count() == 1


def test_a_push_never_brings_a_job_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that failed keeps its backoff."""
    at(monkeypatch, 0)
    job = debounced.enqueue(word="x")
    Job.objects.update(failures=1, run_after=START + 60 * SECOND)

    at(monkeypatch, 1)
    assert debounced.enqueue(word="x").run_after == START + 60 * SECOND
    job.refresh_from_db()
    assert (job.run_after, job.failures) == (START + 60 * SECOND, 1)


def test_a_job_that_is_ready_is_not_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 0)
    debounced.enqueue(word="x")
    Job.objects.update(status=JobStatus.READY)

    at(monkeypatch, 1)
    job = debounced.enqueue(word="x")

    assert (job.status, job.run_after) == (JobStatus.READY, START + 10 * SECOND)


# --- Descent --------------------------------------------------------------------------------------------------------


def test_what_a_job_enqueues_knows_where_it_comes_from() -> None:
    parent = nothing.using(subject="conversation:1", correlation_id="SM1", fairness_key="workspace:1").enqueue()

    with working_on(parent):
        child = nothing.enqueue()
        stranger = nothing.using(subject="conversation:2").enqueue()

    assert (child.parent_id, child.subject, child.correlation_id) == (parent.pk, "conversation:1", "SM1")
    assert child.fairness_key == "workspace:1"
    assert (stranger.parent_id, stranger.subject) == (parent.pk, "conversation:2")
    assert nothing.enqueue().parent_id is None


def test_what_came_of_no_event_outside_begins_a_chain_of_its_own() -> None:
    with working_on(parent := nothing.enqueue()):
        child = nothing.enqueue()
    with working_on(child):
        grandchild = nothing.enqueue()
    assert [job.correlation_id for job in (parent, child, grandchild)] == ["", f"job-{parent.pk}", f"job-{parent.pk}"]
