"""How an attempt ends: by what its handler raised, in one transaction, and only while the job is still the worker's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from queueing.clock import database_now
from queueing.context import JobContext
from queueing.errors import (
    Defer,
    Discard,
    Interrupted,
    JobCancelled,
    JobTimedOut,
    LeaseLost,
    Released,
    Retry,
    UnknownTask,
)
from queueing.models import Attempt, AttemptOutcome, Job, JobStatus
from queueing.perform import perform
from queueing.settle import MAX_DELAY, crash, fail, succeed
from queueing.tasks import Task
from tests.probe import tasks as probe

from .conftest import Claim

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def stored(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def ended(job: Job, error: BaseException) -> Job:
    """The job's row after its attempt has ended so."""
    assert fail(job, error, now=database_now())
    return stored(job)


def running(task: Task, take: Claim, **payload: object) -> Job:
    enqueued = task.enqueue(**payload)
    [job] = [job for job in take() if job.pk == enqueued.pk]
    return job


# --- Success --------------------------------------------------------------------------------------------------------


def test_a_batch_succeeds_each_with_its_attempt(take: Claim) -> None:
    jobs = [running(probe.nothing, take) for _ in range(3)]

    assert succeed(jobs, now=database_now()) == {job.pk for job in jobs}

    for job in jobs:
        row = stored(job)
        assert (row.status, row.lease_until) == (JobStatus.SUCCEEDED, None)
        assert row.finished_at
        assert [(a.number, a.outcome, a.worker_id) for a in row.attempts.all()] == [(1, "succeeded", "w1")]


def test_an_end_lets_the_next_of_its_key_go_and_only_that(take: Claim) -> None:
    first, second, third = (probe.nothing.using(ordering_key="k").enqueue() for _ in range(3))
    take()

    succeed([stored(first)], now=database_now())

    assert [stored(job).status for job in (second, third)] == [JobStatus.READY, JobStatus.BLOCKED]


def test_the_next_of_a_key_may_still_have_to_wait(take: Claim) -> None:
    first = probe.nothing.using(ordering_key="k").enqueue()
    second = probe.nothing.using(ordering_key="k", run_after=HOUR).enqueue()
    take()

    succeed([stored(first)], now=database_now())

    assert stored(second).status == JobStatus.SCHEDULED


# --- The fence ------------------------------------------------------------------------------------------------------


@pytest.fixture
def stale(take: Claim) -> Job:
    """An attempt whose lease ran out, and whose job runs again elsewhere."""
    job = running(probe.nothing.using(ordering_key="k"), take)
    crash(stored(job), now=database_now())
    Job.objects.update(suspect=False)
    [again] = take(worker_id="w2")
    assert (again.pk, again.attempt) == (job.pk, 2)
    return job


def test_a_stale_attempt_changes_nothing(stale: Job) -> None:
    before = Job.objects.values().get()
    now = database_now()

    assert succeed([stale], now=now) == set()
    for error in (ValueError(), Discard("no"), Defer("later", after=HOUR), Released(), JobCancelled()):
        assert not fail(stale, error, now=now)
    assert not crash(stale, now=now)

    assert Job.objects.values().get() == before
    assert list(Attempt.objects.values_list("number", "outcome")) == [(1, AttemptOutcome.CRASHED)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["complete", "fenced"])
def test_what_a_stale_attempt_writes_is_rolled_back(stale: Job, way: str) -> None:
    context = JobContext(stale, timeout=60)

    with pytest.raises(LeaseLost), getattr(context, way)():
        probe.nothing.enqueue()

    assert Job.objects.count() == 1
    assert not context.completed
    with pytest.raises(LeaseLost):
        context.checkpoint()


def test_a_batch_names_its_losers_and_keeps_the_rest(stale: Job, take: Claim) -> None:
    mine = [running(probe.nothing, take), running(probe.nothing, take)]

    assert succeed([mine[0], stale, mine[1]], now=database_now()) == {job.pk for job in mine}

    assert stored(stale).status == JobStatus.RUNNING


@pytest.mark.django_db(transaction=True)
def test_a_job_ends_together_with_its_own_writes(take: Claim) -> None:
    context = JobContext(running(probe.nothing, take), timeout=60)

    with pytest.raises(ZeroDivisionError), context.complete():
        raise ZeroDivisionError(probe.nothing.enqueue())
    assert (stored(context.job).status, Job.objects.count()) == (JobStatus.RUNNING, 1)

    with context.complete():
        probe.nothing.enqueue()
    assert (stored(context.job).status, Job.objects.count()) == (JobStatus.SUCCEEDED, 2)
    assert context.completed


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["complete", "fenced"])
def test_the_fence_is_never_inside_another_transaction(take: Claim, way: str) -> None:
    """Which could roll back afterwards what the worker takes for done."""
    context = JobContext(running(probe.nothing, take), timeout=60)

    with pytest.raises(RuntimeError, match="atomic"), transaction.atomic(), getattr(context, way)():
        raise AssertionError("not reached")

    assert not context.completed


# --- Errors ---------------------------------------------------------------------------------------------------------


def test_an_error_waits_out_its_backoff_and_is_charged(take: Claim) -> None:
    job = running(probe.note, take, word="x")
    now = database_now()

    assert fail(job, ValueError("no luck"), now=now)

    row = stored(job)
    assert (row.status, row.failures, row.reason) == (JobStatus.SCHEDULED, 1, "ValueError: •••")
    assert now < row.run_after <= now + timedelta(seconds=2)
    attempt = row.attempts.get()
    assert (attempt.outcome, attempt.error_class, attempt.message) == ("failed", "ValueError", "•••")


def test_the_other_side_says_when(take: Claim) -> None:
    job = running(probe.fail, take)
    now = database_now()

    fail(job, Retry("busy", after=HOUR), now=now)

    row = stored(job)
    assert (row.status, row.run_after, row.failures) == (JobStatus.SCHEDULED, now + HOUR, 1)


def test_a_delay_beyond_all_time_is_a_long_one(take: Claim) -> None:
    now = database_now()
    jobs = running(probe.fail, take), running(probe.fail, take)

    fail(jobs[0], Retry("busy", after=timedelta.max), now=now)
    fail(jobs[1], Defer("busy", after=timedelta.max), now=now)

    assert {stored(job).run_after for job in jobs} == {now + MAX_DELAY}


def test_a_deferred_job_is_charged_nothing(take: Claim) -> None:
    job = running(probe.fail, take)

    row = ended(job, Defer("not yet", after=HOUR))

    assert (row.status, row.failures, row.reason) == (JobStatus.SCHEDULED, 0, "not yet")
    assert row.attempts.get().outcome == AttemptOutcome.DEFERRED


@pytest.mark.parametrize("error", [Released(), LeaseLost()])
def test_a_job_that_is_given_back_is_ready_and_charged_nothing(take: Claim, error: Interrupted) -> None:
    job = running(probe.fail, take)

    row = ended(job, error)

    assert (row.status, row.failures, row.lease_until) == (JobStatus.READY, 0, None)
    assert row.attempts.get().outcome == AttemptOutcome.RELEASED


@pytest.mark.parametrize("error", [Discard("never"), UnknownTask("who?"), KeyError("permanent for this task")])
def test_what_cannot_succeed_is_dead_at_once(take: Claim, error: Exception) -> None:
    row = ended(running(probe.fail, take), error)

    assert (row.status, row.failures) == (JobStatus.DEAD, 1)
    assert row.reason.startswith(type(error).__name__)


def test_the_last_failure_is_the_end(take: Claim) -> None:
    job = probe.fail.enqueue()
    for _ in range(3):
        [attempt] = take()
        fail(attempt, ValueError(), now=database_now())
        Job.objects.filter(status=JobStatus.SCHEDULED).update(status=JobStatus.READY)  # no wait for the backoff

    row = stored(job)
    assert (row.status, row.failures, row.attempts.count()) == (JobStatus.DEAD, 3, 3)


def test_a_timeout_is_a_failure_of_its_own_name(take: Claim) -> None:
    row = ended(running(probe.fail, take), JobTimedOut())
    assert (row.failures, row.attempts.get().outcome) == (1, AttemptOutcome.TIMED_OUT)


def test_no_attempt_starts_after_the_maximum_age(take: Claim) -> None:
    job = running(probe.perishable, take)
    assert job.expires_at == job.enqueued_at + HOUR

    assert ended(job, Retry("busy", after=2 * HOUR)).status == JobStatus.DEAD


@pytest.mark.django_db(transaction=True)
def test_a_job_past_its_maximum_age_is_discarded_by_the_clock_of_the_database(take: Claim) -> None:
    """Whatever the worker's own clock says."""
    job = running(probe.perishable, take)
    assert job.started_at
    job.expires_at = job.started_at - timedelta(seconds=1)
    assert isinstance(perform(JobContext(job, timeout=60)), Discard)

    job.started_at, job.expires_at = job.started_at - 2 * HOUR, job.started_at - HOUR
    assert isinstance(perform(JobContext(job, timeout=60)), ValueError)


@pytest.mark.django_db(transaction=True)
def test_a_task_that_nobody_declares_is_a_dead_letter(take: Claim) -> None:
    job = running(probe.nothing, take)
    Job.objects.update(task="gone")

    job = stored(job)
    error = perform(JobContext(job, timeout=1))
    assert isinstance(error, UnknownTask)

    row = ended(job, error)
    assert (row.status, row.reason) == (JobStatus.DEAD, "UnknownTask: no task is named 'gone'")


@pytest.mark.django_db(transaction=True)
def test_payload_names_of_a_newer_version_are_left_out(take: Claim, journal: object) -> None:
    job = running(probe.note, take, word="x")
    job.payload["invented_later"] = 1
    assert perform(JobContext(job, timeout=60)) is None


@pytest.mark.django_db(transaction=True)
def test_a_handler_cannot_end_the_worker(take: Claim) -> None:
    error = perform(JobContext(running(probe.fail, take, error="SystemExit"), timeout=60))
    assert isinstance(error, SystemExit)


# --- The last word of the dead --------------------------------------------------------------------------------------


def test_the_dead_leave_word_in_the_same_transaction(take: Claim) -> None:
    job = running(
        probe.mortal.using(ordering_key="k", subject="conversation:1"), take, word="x", more="unknown to bury"
    )

    ended(job, ValueError())

    word = Job.objects.get(task="bury")
    assert (word.payload, word.ordering_key, word.subject) == ({"word": "x"}, "k", "conversation:1")
    assert (word.parent_id, word.status) == (job.pk, JobStatus.READY)


def test_a_last_word_that_cannot_be_enqueued_stops_nobody(take: Claim, caplog: pytest.LogCaptureFixture) -> None:
    job = running(probe.mortal, take, word="x")
    job.payload = {}

    assert ended(job, ValueError()).status == JobStatus.DEAD

    assert "word is missing" in caplog.text


# --- Cancelled while it ran -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [JobCancelled(), ValueError(), Released(), Defer("later", after=HOUR), JobTimedOut()])
def test_a_job_that_someone_cancelled_is_not_run_again(take: Claim, error: BaseException) -> None:
    job = running(probe.fail, take)
    Job.objects.update(cancel_requested=True)

    row = ended(job, error)

    assert (row.status, row.cancel_requested) == (JobStatus.CANCELLED, False)


def test_a_checkpoint_tells_of_the_cancellation(take: Claim) -> None:
    context = JobContext(running(probe.nothing, take), timeout=60)
    context.checkpoint()
    Job.objects.update(cancel_requested=True)
    with pytest.raises(JobCancelled):
        context.checkpoint()


# --- Merged under a unique key --------------------------------------------------------------------------------------


def test_a_job_that_must_wait_again_is_merged_into_the_one_that_waits(take: Claim) -> None:
    keyed = probe.perishable.using(ordering_key="k", unique_key="k")
    [first] = [keyed.enqueue()] and take()
    second = keyed.using(run_after=timedelta(0)).enqueue()
    assert second.status == JobStatus.BLOCKED
    Job.objects.filter(pk=first.pk).update(failures=2, crashes=1)
    first.failures, first.crashes = 2, 1
    now = database_now()

    fail(first, Retry("busy", after=timedelta(minutes=5)), now=now)

    merged, heir = stored(first), stored(second)
    assert (merged.status, merged.finished_at) == (JobStatus.CANCELLED, now)
    assert f"job {second.pk}" in merged.reason
    assert (heir.status, heir.failures, heir.crashes) == (JobStatus.SCHEDULED, 3, 1)
    assert (heir.run_after, heir.expires_at) == (now + timedelta(minutes=5), first.expires_at)
    assert merged.attempts.get().outcome == AttemptOutcome.FAILED


def test_a_merge_hands_on_the_suspicion(take: Claim) -> None:
    keyed = probe.nothing.using(ordering_key="k", unique_key="k")
    keyed.enqueue()
    [first] = take()
    second = keyed.enqueue()

    crash(stored(first), now=database_now())

    assert (stored(second).status, stored(second).suspect) == (JobStatus.READY, True)


# --- What is kept of an error ---------------------------------------------------------------------------------------


def test_phone_numbers_are_blotted_out_everywhere(take: Claim) -> None:
    row = ended(running(probe.fail, take), Discard("whatsapp:+15550107777 said no"))

    attempt = row.attempts.get()
    for text in (row.reason, attempt.message, attempt.traceback):
        assert "said no" in text
        assert "5550107777" not in text


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("has no words")


UNWIELDY = [
    ValueError("a NUL \x00 in it"),
    ValueError("a lone surrogate \udc80 in it"),
    ValueError("long " * 10_000),
    type("Long" * 100, (Exception,), {})("name"),
    Mute(),
]


@pytest.mark.parametrize("error", UNWIELDY, ids=["nul", "surrogate", "long", "long name", "mute"])
def test_no_error_is_too_strange_to_be_written_down(take: Claim, error: Exception) -> None:
    row = ended(running(probe.fail, take), error)
    kind = type(error)
    name = kind.__name__ if isinstance(error, ValueError) else f"{__name__}.{kind.__name__}"
    assert row.attempts.get().error_class == name[:200]
