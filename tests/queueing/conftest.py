"""Jobs to try the queue with, and a worker's hands: claim and look again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from redis import Redis

from queueing import backends
from queueing.claim import claim
from queueing.clock import database_now
from queueing.fairness import Fairness
from queueing.models import Job
from tests.stand_ins.servers import SQS, Valkey

from .processes import Process

Claim = Callable[..., list[Job]]


@pytest.fixture
def take() -> Claim:
    """Claims as a worker does, in the lanes `default` and `maintenance`."""

    def take(limit: int = 10, **options: Any) -> list[Job]:
        defaults = {
            "queue_names": ["default", "maintenance"],
            "worker_id": "w1",
            "lease": timedelta(minutes=1),
            "now": database_now(),
            "fairness": Fairness(),
            "running": Counter(),
        }
        return claim(limit=limit, **defaults | options)

    return take


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the probe's handlers say."""
    path = tmp_path / "journal"
    path.touch()
    monkeypatch.setenv("PROBE_JOURNAL", str(path))
    return path


Start = Callable[..., Process]


@pytest.fixture
def start(transactional_db: None, journal: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts processes of the queue, `rqworker` by default, with a short lease; ends all of them."""
    processes: list[Process] = []

    def start(*arguments: str, **env: Any) -> Process:
        log = tmp_path / f"process-{len(processes)}.log"
        env = {"QUEUE_LEASE_SECONDS": 2, "QUEUE_HARD_TIMEOUT_GRACE_SECONDS": 0.3} | env
        processes.append(Process(*(arguments or ("rqworker", "--threads", "4")), log=log, **env))
        return processes[-1]

    yield start
    for process in processes:
        process.end()
        print(f"--- {process.log.name}", process.log.read_text(), sep="\n")  # pytest shows it where the test failed


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def sqs_server() -> Iterator[SQS]:
    with SQS() as server:
        yield server


@pytest.fixture
def valkey(valkey_server: Valkey, settings: Settings) -> Iterator[Valkey]:
    """A Redis that runs and is empty, and the queue on it."""
    if not valkey_server.answers():
        valkey_server.start()
    settings.QUEUE_URL = valkey_server.url
    settings.RQ_QUEUES = {name: {"URL": valkey_server.url} for name in settings.RQ_QUEUES}
    backends._backend.cache_clear()  # no breaker that another test has opened
    with Redis.from_url(valkey_server.url) as redis:
        redis.flushall()
    yield valkey_server
    if valkey_server.process and valkey_server.process.poll() is None:
        valkey_server.resume()
    backends._backend.cache_clear()


@pytest.fixture
def redis(valkey: Valkey) -> Iterator[Redis]:
    """A look into it."""
    with Redis.from_url(valkey.url) as redis:
        yield redis
