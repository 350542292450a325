"""The scheduler on Redis: it enqueues by the ledger's clock, and Redis only shows when what comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db.models import Count
from redis import Redis

from queueing.backends import get_backend
from queueing.clock import database_now
from queueing.models import Job
from queueing.scheduler import next_points, schedules
from tests.stand_ins.servers import Valkey
from tests.stand_ins.twin import eventually

from .processes import Process
from .test_redis import everything

Start = Callable[..., Process]

ENTRIES = "rq:scheduler:scheduled_jobs"


@pytest.fixture
def scheduler(start: Start, valkey: Valkey) -> Callable[[], Process]:
    return lambda: start("rqscheduler", QUEUE_URL=valkey.url, SCHEDULER_INTERVAL_SECONDS=1)


def runs() -> int:
    """Of a task that comes every second."""
    return Job.objects.filter(task="process_idle", scheduled_for__isnull=False).count()


def shown(redis: Redis) -> set[str]:
    return {entry.decode() for entry in redis.zrange(ENTRIES, 0, -1)}


def test_it_shows_what_comes_and_shows_it_again_after_a_loss(scheduler: Callable[[], Process], redis: Redis) -> None:
    scheduler()
    eventually(lambda: "every-process_idle" in shown(redis), within=15)
    assert shown(redis) == {f"every-{schedule.task}" for schedule, _ in schedules() if schedule.enabled}
    entry = redis.hgetall("rq:job:every-process_idle")
    assert entry[b"description"] == b"process_idle"
    assert b"\x80\x05" not in everything(redis)  # how a pickle starts

    redis.flushall()
    eventually(lambda: "every-process_idle" in shown(redis), within=5)


def test_two_of_them_make_one_job_of_each_point(scheduler: Callable[[], Process], redis: Redis) -> None:
    scheduler()
    scheduler()
    eventually(lambda: runs() >= 1, within=15)
    Job.objects.all().delete()
    eventually(lambda: runs() >= 1, within=15)

    points = Job.objects.exclude(scheduled_for=None).values("task", "scheduled_for").annotate(n=Count("pk"))
    assert {point["n"] for point in points} == {1}


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_without_redis_it_enqueues_all_the_same(
    fault: str, scheduler: Callable[[], Process], valkey: Valkey, redis: Redis
) -> None:
    process = scheduler()
    eventually(lambda: shown(redis), within=15)
    getattr(valkey, fault)()
    for _ in range(3):
        Job.objects.all().delete()
        eventually(lambda: runs() >= 1, within=4)
    valkey.resume() if fault == "pause" else valkey.start()

    eventually(lambda: shown(redis), within=20)
    assert process.log.read_text().count("is away") == 1


@pytest.mark.django_db
def test_what_nobody_draws_fades(redis: Redis) -> None:
    get_backend().show_schedule(next_points(database_now()))
    assert 0 < redis.ttl(ENTRIES) <= 60
    assert 0 < redis.ttl("rq:job:every-process_idle") <= 60
