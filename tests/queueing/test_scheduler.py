"""The scheduler makes one job of each point of a schedule, whatever happens to it, to its twin, and to the clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from queueing.cadence import EPOCH
from queueing.clock import database_now
from queueing.models import Job, JobStatus, Schedule
from queueing.periodic import periodic
from queueing.scheduler import enqueue_due, next_points
from tests.probe.tasks import nothing, tidy
from tests.stand_ins.twin import eventually

from .processes import Process

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def each_minute() -> Schedule:
    """`nightly` has come every minute until noon, by an operator's will."""
    schedule = Schedule.objects.create(task="nightly", interval=MINUTE)
    enqueue_due(NOON - timedelta(seconds=30))
    look(NOON)
    schedule.refresh_from_db()
    return schedule


def look(now: datetime) -> list[datetime]:
    """The points that a look of the scheduler makes jobs of. Workers are quick here."""
    before = set(Job.objects.values_list("pk", flat=True))
    enqueue_due(now)
    made = Job.objects.filter(task="nightly").exclude(pk__in=before)
    points = [job.scheduled_for for job in made if job.scheduled_for]
    Job.objects.filter(status=JobStatus.READY).update(status=JobStatus.SUCCEEDED, finished_at=now)
    return points


def minutes(*numbers: int) -> list[datetime]:
    """Moments, as minutes past noon."""
    return [NOON + number * MINUTE for number in numbers]


def test_a_new_schedule_starts_with_its_next_point() -> None:
    assert look(NOON) == []
    schedule = Schedule.objects.get(task="nightly")
    half_past_two = datetime(2026, 5, 5, 0, 30, tzinfo=UTC)  # in Berlin, in summer
    assert (schedule.last_point, schedule.next_point) == (None, half_past_two)

    assert look(half_past_two - timedelta(seconds=1)) == []
    assert look(half_past_two) == [half_past_two]
    schedule.refresh_from_db()
    assert (schedule.last_point, schedule.next_point) == (half_past_two, half_past_two + timedelta(days=1))


@pytest.mark.usefixtures("each_minute")
def test_each_point_makes_one_job_however_often_one_looks() -> None:
    looks = [NOON + timedelta(seconds=7 * n) for n in range(1, 30)]
    assert [point for now in looks for point in look(now)] == minutes(1, 2, 3)


@pytest.mark.usefixtures("each_minute")
def test_an_outage_is_followed_by_one_run() -> None:
    assert look(NOON + 90.5 * MINUTE) == minutes(90)
    assert look(NOON + 91 * MINUTE) == minutes(91)


@pytest.mark.usefixtures("each_minute")
def test_a_job_that_still_waits_stands_in_for_the_next() -> None:
    enqueue_due(NOON + MINUTE)
    enqueue_due(NOON + 2 * MINUTE)
    waiting = Job.objects.get(task="nightly", status=JobStatus.READY)
    assert waiting.scheduled_for == NOON + MINUTE


@pytest.mark.usefixtures("each_minute")
def test_a_clock_that_is_ten_minutes_ahead_for_a_while_repeats_and_loses_nothing() -> None:
    ahead = [point for n in range(10, 13) for point in look(NOON + n * MINUTE)]
    back = [point for n in range(1, 16) for point in look(NOON + n * MINUTE + timedelta(seconds=1))]

    assert ahead == minutes(10, 11, 12)
    assert back == minutes(2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15)  # 1 is covered: its run, for 10, came in its own minute


@pytest.mark.usefixtures("each_minute")
def test_a_clock_that_is_set_back_ten_minutes_repeats_and_loses_nothing() -> None:
    Job.objects.all().delete()
    points = [point for n in range(1, 11) for point in look(NOON + n * MINUTE)]
    assert points == minutes(*range(1, 11))
    assert [point for n in range(13) for point in look(NOON + n * MINUTE)] == minutes(11, 12)


def test_a_clock_that_was_years_ahead_does_not_stop_a_schedule(each_minute: Schedule) -> None:
    look(NOON + timedelta(days=36_500))
    assert look(NOON + timedelta(seconds=70)) == []
    assert look(NOON + 2 * MINUTE) == minutes(2)


def test_what_passes_while_a_schedule_is_disabled_is_not_caught_up(each_minute: Schedule) -> None:
    Schedule.objects.update(enabled=False)
    assert look(NOON + 5 * MINUTE) == []
    assert "nightly" not in next_points(NOON)
    Schedule.objects.update(enabled=True)
    assert look(NOON + 9.5 * MINUTE) == []
    assert look(NOON + 10 * MINUTE) == minutes(10)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"interval": timedelta(hours=6), "cron": ""}, datetime(2026, 5, 4, 18, 0, tzinfo=UTC)),
        ({"interval": None, "cron": "15 23 * * *"}, datetime(2026, 5, 4, 21, 15, tzinfo=UTC)),  # Berlin, as declared
        ({"interval": None, "time_zone": "America/Sao_Paulo"}, datetime(2026, 5, 5, 5, 30, tzinfo=UTC)),
        ({"interval": None, "cron": "nonsense"}, datetime(2026, 5, 5, 0, 30, tzinfo=UTC)),
    ],
)
def test_an_operator_sets_another_cadence(
    each_minute: Schedule, changes: dict[str, object], expected: datetime
) -> None:
    Schedule.objects.update(**changes)
    assert look(NOON + 2 * MINUTE) == []  # a change alone runs nothing, whatever the old cadence had in mind
    assert Schedule.objects.get(task="nightly").next_point == expected
    assert look(expected) == [expected]


def test_the_schedule_of_a_task_that_is_not_declared_is_left_alone() -> None:
    Schedule.objects.create(task="gone", interval=MINUTE, next_point=NOON)
    enqueue_due(NOON)
    assert "gone" not in next_points(NOON)
    assert not Job.objects.filter(task="gone").exists()


def test_the_next_point_is_the_soonest_of_all() -> None:
    Schedule.objects.create(task="nightly", interval=timedelta(seconds=1))
    assert min(next_points(NOON).values()) == NOON + timedelta(seconds=1)


def test_a_task_is_declared_with_one_cadence_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queueing.periodic._declared", {})  # what it declares is not for the tests that follow
    with pytest.raises(ValueError, match="either"):
        periodic()
    with pytest.raises(ValueError, match="either"):
        periodic(every=MINUTE, cron="* * * * *")
    with pytest.raises(ValueError, match="nobody gives it word"):
        periodic(every=MINUTE)(nothing.using(handler=lambda word: None, name="wordy"))
    assert periodic(every=MINUTE)(tidy) is tidy


def test_the_list_says_what_comes_when(each_minute: Schedule) -> None:
    Schedule.objects.filter(task="process_idle").update(enabled=False)
    out = StringIO()
    call_command("rqscheduler", "--list", stdout=out)

    lines = {line.split()[0]: re.split(r"\s{2,}", line) for line in out.getvalue().splitlines()}
    assert lines["task"] == ["task", "cadence", "enabled", "last", "next"]
    assert lines["nightly"][1:4] == ["every 0:01:00", "yes", "2026-05-04 12:00:00+00:00"]
    assert timezone.now() < datetime.fromisoformat(lines["nightly"][4]) < timezone.now() + MINUTE
    assert lines["process_idle"][1:] == ["every 0:01:00", "no", "2026-05-04 12:00:00+00:00", "-"]


@pytest.fixture
def two_schedulers(tmp_path: Path) -> Iterator[list[Process]]:
    schedulers = [Process("rqscheduler", log=tmp_path / f"scheduler{n}.log") for n in range(2)]
    yield schedulers
    for scheduler in schedulers:
        scheduler.end()


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_make_one_job_of_each_point(two_schedulers: list[Process]) -> None:
    Schedule.objects.update_or_create(task="nightly", defaults={"interval": timedelta(seconds=0.5)})

    def finished() -> bool:
        now = database_now()
        Job.objects.filter(status=JobStatus.READY).update(status=JobStatus.SUCCEEDED, finished_at=now)
        return Job.objects.filter(task="nightly").count() >= 6

    eventually(finished, within=20)
    points = list(Job.objects.filter(task="nightly").values_list("scheduled_for", flat=True))
    assert len(set(points)) == len(points)
    assert all(point and (point - EPOCH) % timedelta(seconds=0.5) == timedelta(0) for point in points)
