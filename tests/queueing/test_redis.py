"""Rings over Redis: what they hold, whom they wake, and what RQ's own tools see of them."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from redis import Redis
from rq.command import send_stop_job_command
from rq.exceptions import DeserializationError, InvalidJobOperation
from rq.job import Job as RQJob

from queueing.backends import get_backend
from queueing.backends.rq_rings import Ring
from queueing.errors import BackendUnavailable
from queueing.models import Job, JobStatus
from queueing.service import QueueService
from tests.conftest import ROOT
from tests.probe import tasks as probe
from tests.probe.tasks import said, say
from tests.stand_ins.servers import Valkey
from tests.stand_ins.twin import eventually

from .processes import Process

LIST = "rq:queue:default"
StartWorker = Callable[..., Process]


@pytest.fixture
def worker(start: Callable[..., Process], valkey: Valkey, redis: Redis) -> StartWorker:
    """Starts an `rqworker` and waits until it listens."""

    def worker(*arguments: str, **env: Any) -> Process:
        known = set(redis.smembers("rq:workers"))
        process = start("rqworker", *(arguments or ("--threads", "4")), QUEUE_URL=valkey.url, **env)
        eventually(lambda: set(redis.smembers("rq:workers")) - known, within=15)
        return process

    return worker


def status(job: Job) -> str:
    return Job.objects.get(pk=job.pk).status


def succeeded(*jobs: Job) -> bool:
    return Job.objects.filter(pk__in=[job.pk for job in jobs], status=JobStatus.SUCCEEDED).count() == len(jobs)


def waited(*jobs: Job) -> list[float]:
    """Seconds from the enqueue of each to its start, the shortest first."""
    rows = Job.objects.filter(pk__in=[job.pk for job in jobs])
    return sorted((row.started_at - row.enqueued_at).total_seconds() for row in rows if row.started_at)


def registered(redis: Redis) -> list[dict[str, str]]:
    """What RQ knows of each worker."""
    found = [redis.hgetall(key) for key in redis.smembers("rq:workers")]
    return [{name.decode(): value.decode() for name, value in fields.items()} for fields in found]


def everything(redis: Redis) -> bytes:
    """All that Redis holds, in one piece; what RQ has compressed, unpacked."""
    pieces: list[bytes] = []
    for key in redis.scan_iter():
        kind = redis.type(key)
        values = {
            b"string": lambda key: [redis.get(key)],
            b"list": lambda key: redis.lrange(key, 0, -1),
            b"set": redis.smembers,
            b"zset": lambda key: redis.zrange(key, 0, -1),
            b"hash": lambda key: [piece for pair in redis.hgetall(key).items() for piece in pair],
            b"stream": lambda key: [str(redis.xrange(key)).encode()],
        }[kind](key)
        pieces += [key, *(zlib.decompress(value) if value.startswith(b"x\x9c") else value for value in values)]
    return b"\n".join(pieces)


@pytest.mark.django_db(transaction=True)
def test_a_ring_holds_the_id_of_its_job_and_nothing_else(redis: Redis) -> None:
    job = probe.note.using(subject="canary-subject", correlation_id="canary-id").enqueue(word="canary +15550100777")

    assert redis.lrange(LIST, 0, -1) == [str(job.pk).encode()]
    found = redis.hgetall(f"rq:job:{job.pk}")
    function, instance, arguments, options = json.loads(zlib.decompress(found[b"data"]))
    assert (function, instance, arguments, options) == ("queueing.backends.rq_rings.ring", None, [job.pk], {})
    assert found[b"description"].decode() == f"note #{job.pk}"
    assert b"canary" not in everything(redis)
    assert b"555" not in everything(redis)


@pytest.mark.django_db(transaction=True)
def test_one_ring_stands_for_many_letters(redis: Redis) -> None:
    QueueService.enqueue_many([(probe.nothing, {})] * 1000)
    for _ in range(10):
        probe.nothing.enqueue()

    assert redis.llen(LIST) == 1
    assert len(list(redis.scan_iter("rq:job:*"))) == 1


@pytest.mark.django_db(transaction=True)
def test_each_lane_has_its_own_ring(redis: Redis) -> None:
    QueueService.enqueue_many([(probe.nothing, {}), (probe.tidy, {}), (probe.nothing, {}), (probe.tidy, {})])

    assert (redis.llen(LIST), redis.llen("rq:queue:maintenance")) == (1, 1)


def test_a_ring_wakes_a_worker_long_before_it_looks_by_itself(worker: StartWorker) -> None:
    worker()
    jobs = []
    for _ in range(10):
        jobs.append(probe.nothing.enqueue())
        time.sleep(0.12)
    tidy = probe.tidy.enqueue()

    eventually(lambda: succeeded(*jobs, tidy))
    assert waited(*jobs, tidy)[-2] < 0.3  # its own look would take half a second on average


def test_where_one_worker_is_full_another_hears(worker: StartWorker) -> None:
    worker("--threads", "1")
    running = probe.wait.enqueue(word="first", wanted="go")
    eventually(lambda: said("first:starts"), within=10)
    worker("--threads", "4")

    jobs = []
    for _ in range(8):
        jobs.append(probe.nothing.enqueue())
        time.sleep(0.5)

    eventually(lambda: succeeded(*jobs))
    assert waited(*jobs)[-1] < 0.3  # every second ring goes to the first one, and is passed on
    assert status(running) == JobStatus.RUNNING
    say("go")


def test_what_is_no_ring_is_counted_and_harms_nobody(worker: StartWorker, redis: Redis) -> None:
    """Entries of strangers, of other installations, and of letters that were answered long ago."""
    process = worker()
    done = probe.nothing.enqueue()
    eventually(lambda: succeeded(done))
    eventually(lambda: registered(redis)[0].get("successful_job_count") == "1")

    redis.rpush(LIST, b"\xff\xfe", "9" * 5000, "os.system", "-1", "", "999999999", str(done.pk))
    eventually(lambda: registered(redis)[0].get("failed_job_count") == "6")
    eventually(lambda: registered(redis)[0].get("successful_job_count") == "2")

    job = probe.nothing.enqueue()
    eventually(lambda: succeeded(job))
    assert Job.objects.get(pk=done.pk).attempt == 1
    assert len(process.children()) == 1
    assert "no rings for jobs of this ledger" in process.log.read_text()


class Explosive:
    """Says so in the journal when a pickle of it is loaded."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return say, ("exploded",)


def plant(redis: Redis, job_id: str) -> None:
    """What someone who can write to Redis may leave there: pickles, and names of functions to call."""
    bomb = pickle.dumps(Explosive())
    redis.hset(
        f"rq:job:{job_id}",
        mapping={
            "data": zlib.compress(bomb),
            "meta": bomb,
            "result": bomb,
            "origin": "default",
            "status": "started",
            "created_at": "2026-01-01T00:00:00.000000Z",
            "success_callback_name": "builtins.print",
            "failure_callback_name": "builtins.print",
            "stopped_callback_name": "builtins.print",
        },
    )


def test_a_pickle_in_redis_is_never_loaded_and_no_function_of_its_choice_called(
    worker: StartWorker, redis: Redis, journal: Path
) -> None:
    job = probe.wait.enqueue(word="job", wanted="go")
    redis.delete(LIST)
    for job_id in (str(job.pk), "stranger"):
        plant(redis, job_id)
        redis.rpush(LIST, job_id)
        redis.zadd("rq:wip:default", {f"{job_id}:1": 1})  # abandoned: RQ's maintenance calls its callback
    process = worker()
    say("go")

    eventually(lambda: succeeded(job), within=10)
    eventually(lambda: registered(redis)[0].get("failed_job_count") == "1")
    words = {line.split()[1] for line in journal.read_text().splitlines()}
    assert words == {"go", "job:starts", "job:ends"}
    assert "<redis.client.Redis" not in process.log.read_text()  # what a callback is called with, and prints


@pytest.mark.parametrize("kind", [RQJob, Ring])
def test_rq_does_not_fall_back_to_pickle_in_our_processes(kind: type[RQJob], redis: Redis, journal: Path) -> None:
    plant(redis, "7")
    found = kind.fetch("7", connection=redis)
    with pytest.raises(DeserializationError):
        found.args  # noqa: B018
    with pytest.raises(ValueError, match="utf-8"):
        found.get_meta()
    with pytest.raises(InvalidJobOperation, match="not currently executing"):
        send_stop_job_command(redis, "7")
    assert journal.read_text() == ""


def test_rqs_own_tools_show_the_worker_and_what_it_heard(worker: StartWorker, valkey: Valkey, redis: Redis) -> None:
    process = worker()
    job = probe.nothing.enqueue()
    eventually(lambda: succeeded(job))
    eventually(lambda: registered(redis)[0].get("successful_job_count") == "1")
    env = os.environ | {"QUEUE_URL": valkey.url}

    info = subprocess.run(
        [Path(sys.executable).with_name("rq"), "info", "--raw", "--url", valkey.url], capture_output=True, text=True
    )
    stats = subprocess.run(
        [sys.executable, "manage.py", "rqstats", "--json"], cwd=ROOT, env=env, capture_output=True, text=True
    )

    (child,) = process.children()
    assert f" {child}) idle default, maintenance. jobs: 1 finished, 0 failed" in info.stdout
    queues = {queue["name"]: queue for queue in json.loads(stats.stdout)["queues"]}
    shown = queues["default"]
    assert (shown["jobs"], shown["workers"], shown["finished_jobs"], shown["failed_jobs"]) == (0, 1, 1, 0)
    assert queues["maintenance"]["workers"] == 1

    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(within=5) == 0
    assert redis.smembers("rq:workers") == set()


def test_books_are_kept_for_a_minute_and_no_longer(worker: StartWorker, redis: Redis) -> None:
    worker()
    job = probe.nothing.enqueue()
    eventually(lambda: redis.zscore("rq:finished:default", str(job.pk)))

    assert redis.lrange(LIST, 0, -1) == []
    assert 0 < redis.ttl(f"rq:job:{job.pk}") <= 60
    assert redis.zscore("rq:finished:default", str(job.pk)) <= time.time() + 61


@pytest.mark.django_db
def test_the_check_names_the_server_and_no_password(settings: Settings) -> None:
    with Valkey(password="s3cret-of-redis") as locked:
        settings.QUEUE_URL = locked.url
        get_backend().check()
        settings.QUEUE_URL = locked.url.replace("s3cret-of-redis", "wrong-password")
        with pytest.raises(BackendUnavailable, match=f"Redis at 127.0.0.1:{locked.port}.*Authentication") as refused:
            get_backend().check()
    assert "wrong-password" not in str(refused.value)
    with pytest.raises(BackendUnavailable, match="start it, or correct QUEUE_URL"):
        get_backend().check()


def test_an_address_that_is_none_is_refused_at_the_start(process_env: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=process_env | {"QUEUE_URL": "redis://localhost:nowhere/0"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "queueing.E001" in result.stderr
