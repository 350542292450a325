"""The tallies: everything that the ledger gained is counted once, whoever looks, and stays counted when rows go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection
from django.db.models import Sum

from queueing import tally as tallying
from queueing.measures import EPOCH, Measure
from queueing.models import Attempt, AttemptOutcome, Job, JobStatus, Span, Tally, TallyMark
from queueing.tally import LOOK_EVERY, count_lost, tally

from .processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
Store = Callable[..., Job]


@pytest.fixture
def store() -> Store:
    """A job that was enqueued at noon, with one attempt that began after `wait` and took `run` seconds."""

    def store(
        *, task: str = "a", wait: float = 0.2, run: float = 3.0, outcome: str = "succeeded", at: datetime = NOON
    ) -> Job:
        started = at + timedelta(seconds=wait)
        ended = started + timedelta(seconds=run)
        job = Job.objects.create(
            task=task, queue_name="default", status=JobStatus.SUCCEEDED, run_after=at, enqueued_at=at, finished_at=ended
        )
        Attempt.objects.create(
            job=job, number=1, worker_id="w", due_at=at, started_at=started, finished_at=ended, outcome=outcome
        )
        return job

    return store


@pytest.fixture
def count() -> Callable[[], None]:
    """Looks as often as it takes until everything is counted, as a worker does with pauses."""

    def count() -> None:
        now = datetime.now(UTC)
        for _ in range(20):
            now += LOOK_EVERY
            tally(now)

    return count


def ever(**what: str) -> dict[tuple[str, str], float]:
    rows = Tally.objects.filter(span=Span.EVER, **what)
    return {(row.measure, row.bucket): round(row.amount, 3) for row in rows}


def test_what_happened_is_counted_by_task_with_how_long_it_took(store: Store, count: Callable[[], None]) -> None:
    store(wait=0.2, run=3)
    store(wait=0.004, run=2000, outcome=AttemptOutcome.FAILED)
    store(task="b", wait=0.01, run=0)

    count()

    assert ever(task="a") == {
        ("enqueued", ""): 2,
        ("succeeded", ""): 1,
        ("failed", ""): 1,
        ("wait", "0.25"): 1,
        ("wait", "0.005"): 1,
        ("wait_seconds", ""): 0.204,
        ("run", "5.0"): 1,
        ("run", "+Inf"): 1,
        ("run_seconds", ""): 2003,
    }
    assert ever(task="b")["wait", "0.01"] == 1  # a bound belongs to its bucket
    assert set(Tally.objects.values_list("queue_name", flat=True)) == {"default"}


def test_every_span_holds_the_same(store: Store, count: Callable[[], None]) -> None:
    now = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
    for minutes in (0, 1, 90):
        store(at=now - timedelta(minutes=minutes))

    count()

    spans = Tally.objects.filter(measure="enqueued").values_list("span").annotate(Sum("amount"))
    assert dict(spans) == {Span.EVER: 3, Span.HOUR: 3, Span.MINUTE: 3}
    starts = Tally.objects.filter(measure="enqueued", span=Span.MINUTE).values_list("start", flat=True)
    assert set(starts) == {now - timedelta(minutes=minutes) for minutes in (0, 1, 90)}
    assert Tally.objects.filter(measure="enqueued", span=Span.HOUR).count() == 2
    assert set(Tally.objects.filter(span=Span.EVER).values_list("start", flat=True)) == {EPOCH}


def test_nothing_is_counted_twice_and_counters_survive_the_rows(store: Store, count: Callable[[], None]) -> None:
    store()
    count()
    Job.objects.all().delete()
    count()
    store()
    count()
    assert ever(task="a")["succeeded", ""] == 2


def test_two_that_look_at_once_count_once(
    store: Store, count: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is faster: between our look and our write it has written."""
    store()
    now = datetime.now(UTC)
    tally(now)  # on PostgreSQL the first look only notes how far it saw
    monkeypatch.setattr(tallying, "_transactions", both := _Both(now + 2 * LOOK_EVERY))
    store()
    tally(now + 2 * LOOK_EVERY)
    assert both.looked
    monkeypatch.undo()
    count()
    assert (ever(task="a")["succeeded", ""], ever(task="a")["enqueued", ""]) == (2, 2)


class _Both:
    """Has another worker look in the midst of our own look."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.looked = False
        self.transactions = tallying._transactions

    def __call__(self) -> tuple[int, int]:
        if not self.looked:
            self.looked = True
            tally(self.now)
        return self.transactions()


def test_a_long_backlog_is_counted_piece_by_piece(
    store: Store, count: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store()
    count()
    monkeypatch.setattr(tallying, "ROWS_AT_ONCE", 2)
    for _ in range(5):
        store()
    count()
    assert ever(task="a")["enqueued", ""] == 6
    assert TallyMark.objects.get(table="queueing_job").counted == Job.objects.latest("pk").pk


def test_a_look_rests_for_a_while(store: Store, count: Callable[[], None]) -> None:
    """However many workers there are."""
    store()
    count()
    looked_at = TallyMark.objects.get(table="queueing_job").looked_at
    assert looked_at
    store()
    tally(looked_at + LOOK_EVERY / 2)
    assert ever(task="a")["enqueued", ""] == 1
    count()
    assert ever(task="a")["enqueued", ""] == 2


def test_old_minutes_and_hours_go_and_the_counter_stays(store: Store, count: Callable[[], None]) -> None:
    now = datetime.now(UTC)
    for age in (timedelta(0), timedelta(days=3), timedelta(days=100)):
        store(at=now - age)
        count()
    spans = Tally.objects.filter(measure="enqueued").values_list("span").annotate(Sum("amount"))
    assert dict(spans) == {Span.EVER: 3, Span.HOUR: 2, Span.MINUTE: 1}


def test_a_clock_that_went_back_takes_nothing_away(store: Store, count: Callable[[], None]) -> None:
    store(wait=-5, run=-5)
    count()
    assert ever(task="a")["wait_seconds", ""] == 0
    assert ever(task="a")["wait", "0.005"] == 1


def test_work_done_in_vain_is_counted(store: Store) -> None:
    job = store()
    count_lost(job, NOON)
    count_lost(job, NOON)
    assert ever(task="a") == {(Measure.LEASE_LOST, ""): 2}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_row_that_is_committed_late_is_counted(store: Store, count: Callable[[], None]) -> None:
    """It took its id before another one, which was committed and seen first."""
    store()
    count()
    columns = ", ".join(field.column for field in Job._meta.concrete_fields if not field.primary_key)
    with psycopg.connect(database_url()) as late:
        late.execute(f"INSERT INTO queueing_job ({columns}) SELECT {columns} FROM queueing_job")
        store()
        count()
        assert ever(task="a")["enqueued", ""] == 1
        late.commit()
    count()
    assert ever(task="a")["enqueued", ""] == 3
