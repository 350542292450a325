"""Producers, workers and rescuers at once: nothing is blocked for ever, nothing runs twice at a time, order holds."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction

from queueing.claim import claim, claim_suspect
from queueing.clock import database_now
from queueing.errors import Defer, Released
from queueing.fairness import Fairness
from queueing.models import FINISHED, Attempt, AttemptOutcome, Job, JobStatus
from queueing.promote import promote_due
from queueing.rescue import rescue_expired
from queueing.scheduler import enqueue_due
from queueing.settle import fail, succeed
from queueing.tasks import Debounce
from tests.probe.tasks import fail as failing
from tests.probe.tasks import note, nothing

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = [f"key:{n}" for n in range(3)]


def at_once(*works: Callable[[], None]) -> None:
    """Run them in threads, each with a connection of its own; what one raises rises here."""

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(run, work) for work in works]:
            future.result()


def unsettled() -> bool:
    return Job.objects.exclude(status__in=FINISHED).exists()


class Crowd:
    """Workers that claim, succeed, fail, defer, give back, vanish and rescue; until all is done."""

    def __init__(self) -> None:
        self.producing = threading.Event()
        self.order: list[int] = []  # the jobs in the order in which they were started, across all workers
        self.deadline = time.monotonic() + 30

    def work(self, number: int) -> None:
        chance = random.Random(number)
        while not self.producing.is_set() or unsettled():
            assert time.monotonic() < self.deadline, list(Job.objects.exclude(status__in=FINISHED).values())
            try:
                self._turn(f"w{number}", chance)
            except OperationalError:  # a deadlock that the database resolved, or a lock that took too long
                connection.close()

    def _turn(self, worker_id: str, chance: random.Random) -> None:
        lease = timedelta(seconds=0.2)
        with transaction.atomic():
            now = database_now()
            promote_due(now)
            options = {"worker_id": worker_id, "lease": lease, "now": now}
            jobs = claim_suspect(**options) if chance.random() < 0.3 else []
            jobs = jobs or claim(
                queue_names=["default", "maintenance"],
                limit=chance.randint(1, 4),
                fairness=Fairness(),
                running=Counter(),
                **options,
            )
        rescue_expired(database_now())
        for job in jobs:
            fate = chance.random()
            if fate < 0.05 and job.crashes == 0:
                continue  # the worker vanishes
            with transaction.atomic():
                if fate < 0.6:
                    succeed([job], now=database_now())
                else:
                    error = chance.choice([ValueError(), Released(), Defer("later", after=timedelta(milliseconds=5))])
                    fail(job, error, now=database_now())


def test_a_crowd_leaves_nothing_behind() -> None:
    crowd = Crowd()

    def produce() -> None:
        chance = random.Random(threading.get_ident())
        for n in range(40):
            key = chance.choice(KEYS)
            with transaction.atomic():
                failing.using(ordering_key=key).enqueue(word=str(n))
                if chance.random() < 0.5:
                    note.using(
                        ordering_key=f"answer:{key}",
                        unique_key=f"answer:{key}",
                        debounce=Debounce(quiet=timedelta(milliseconds=2), longest=timedelta(milliseconds=10)),
                    ).enqueue(word=str(n))
            nothing.using(unique_key="shared").enqueue()

    def produce_all() -> None:
        try:
            at_once(produce, produce, produce)
        finally:
            crowd.producing.set()

    at_once(produce_all, *(lambda n=n: crowd.work(n) for n in range(3)))

    assert not unsettled()
    assert Job.objects.filter(task="fail").count() == 120
    ran = Attempt.objects.filter(outcome=AttemptOutcome.SUCCEEDED).values_list("job").distinct().count()
    assert ran == Job.objects.filter(status=JobStatus.SUCCEEDED).count()
    for key in KEYS:
        ended = Job.objects.filter(ordering_key=key).order_by("finished_at", "pk").values_list("pk", flat=True)
        assert list(ended) == sorted(ended), "jobs of one key end in the order of their enqueue"


def test_a_unique_key_that_everyone_wants_at_once() -> None:
    """A job that a worker takes between a producer's look and its insert is no error of the producer."""
    done = threading.Event()

    def produce() -> None:
        try:
            for _ in range(60):
                nothing.using(unique_key="u").enqueue()
        finally:
            done.set()

    def consume() -> None:
        while not done.is_set():
            with transaction.atomic():
                now = database_now()
                jobs = claim(
                    queue_names=["default"],
                    limit=5,
                    worker_id="w",
                    lease=timedelta(minutes=1),
                    now=database_now(),
                    fairness=Fairness(),
                    running=Counter(),
                )
                succeed(jobs, now=now)

    at_once(produce, produce, produce, consume)


def test_schedulers_that_beat_at_once_make_one_job_of_a_point() -> None:
    now = database_now()

    def beat() -> None:
        for second in range(3):
            enqueue_due(now + timedelta(minutes=second))
            Job.objects.filter(finished_at=None).update(status=JobStatus.SUCCEEDED, finished_at=now)

    at_once(beat, beat, beat)

    points = list(Job.objects.filter(task="process_idle").values_list("scheduled_for", flat=True))
    assert len(points) == len(set(points)) >= 2  # a new schedule starts with its next point
