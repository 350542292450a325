"""Redis is down, hangs, forgets everything, comes back: jobs are stored and run, and rings work again when it does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from queueing.models import Job, JobStatus
from tests.probe import tasks as probe
from tests.stand_ins.servers import Valkey
from tests.stand_ins.twin import eventually

from .processes import Process

Start = Callable[..., Process]


@pytest.fixture
def worker(start: Start, valkey: Valkey, redis: Redis) -> Process:
    """One that listens."""
    process = start("rqworker", "--threads", "4", QUEUE_URL=valkey.url)
    eventually(lambda: redis.smembers("rq:workers"), within=15)
    return process


@pytest.fixture(params=["kill", "pause"])
def without_redis(request: pytest.FixtureRequest, valkey: Valkey) -> Iterator[None]:
    """It is down; or it takes connections and never answers."""
    getattr(valkey, request.param)()
    yield
    valkey.resume() if request.param == "pause" else valkey.start()


def succeeded(job: Job) -> bool:
    return Job.objects.get(pk=job.pk).status == JobStatus.SUCCEEDED


def starts_at_once() -> bool:
    """Whether a ring wakes the worker: by itself it would look half a second later, on average."""
    jobs = []
    for _ in range(3):
        jobs.append(probe.nothing.enqueue())
        eventually(lambda: succeeded(jobs[-1]))
        time.sleep(0.05)
    rows = Job.objects.filter(pk__in=[job.pk for job in jobs])
    return all((row.started_at - row.enqueued_at).total_seconds() < 0.2 for row in rows if row.started_at)


def test_whoever_enqueues_waits_for_it_once_and_not_long(
    worker: Process, without_redis: None, caplog: pytest.LogCaptureFixture
) -> None:
    took = []
    jobs = []
    for _ in range(5):
        started = time.monotonic()
        jobs.append(probe.nothing.enqueue())
        took.append(time.monotonic() - started)

    assert max(took) < 0.5
    assert sorted(took)[-2] < 0.2  # the others are spared
    for job in jobs:
        eventually(lambda job=job: succeeded(job), within=5)  # type: ignore[misc]
    assert [record.message.count("is away") for record in caplog.records if "Redis" in record.message] == [1]


def test_a_worker_that_is_told_to_stop_does_not_wait_for_it(worker: Process, without_redis: None) -> None:
    time.sleep(0.5)
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(within=3) == 0


def test_after_an_outage_the_worker_listens_again(worker: Process, valkey: Valkey, redis: Redis) -> None:
    (child,) = worker.children()
    valkey.kill()
    job = probe.nothing.enqueue()
    eventually(lambda: succeeded(job))
    time.sleep(4)
    valkey.start()

    eventually(lambda: redis.smembers("rq:workers"), within=10)
    time.sleep(1)  # our own breaker may still be open
    eventually(starts_at_once, within=15)
    assert worker.children() == [child]


def test_a_worker_that_starts_without_redis_works_and_finds_it_later(
    start: Start, valkey: Valkey, redis: Redis
) -> None:
    valkey.kill()
    job = probe.nothing.enqueue()
    start("rqworker", QUEUE_URL=valkey.url)
    eventually(lambda: succeeded(job), within=15)
    valkey.start()

    eventually(lambda: redis.smembers("rq:workers"), within=10)


def test_what_was_flushed_away_is_registered_again(worker: Process, redis: Redis) -> None:
    (before,) = redis.smembers("rq:workers")
    redis.flushall()

    eventually(lambda: redis.smembers("rq:workers") == {before}, within=5)
    assert redis.smembers("rq:workers:maintenance") == {before}
    assert redis.hget(before, "queues") == b"default,maintenance"
    assert starts_at_once()


def test_a_worker_that_is_killed_is_forgotten_within_two_minutes(worker: Process, redis: Redis) -> None:
    (key,) = redis.smembers("rq:workers")
    worker.end()
    assert 0 < redis.ttl(key) <= 120


def test_a_key_of_another_kind_in_its_place_stops_nobody(worker: Process, redis: Redis) -> None:
    redis.set("rq:queue:default", "mine")
    job = probe.nothing.enqueue()
    eventually(lambda: succeeded(job))

    redis.delete("rq:queue:default")
    time.sleep(1.1)
    eventually(starts_at_once, within=20)
