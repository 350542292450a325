"""What can be seen of the queues from outside, at a cost that does not grow with the ledger."""

from __future__ import annotations

import json
import signal
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from queueing import stats
from queueing.clock import database_now
from queueing.measures import EPOCH
from queueing.metrics import LedgerCollector
from queueing.models import Job, JobStatus, Queue, Span, Tally, Worker
from queueing.pause import pause
from queueing.settle import crash
from queueing.stats import QueueStats, queue_stats
from tests.probe import tasks as probe
from tests.stand_ins.twin import eventually

from .conftest import Claim, Start
from .plans import plans

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def of(name: str, now: datetime | None = None) -> QueueStats:
    [queue] = [queue for queue in queue_stats(now or database_now()) if queue.name == name]
    return queue


def samples() -> dict[str, float]:
    """What a scrape reads, by the name and the values of the labels, in the order of the labels' names."""
    families = text_string_to_metric_families(generate_latest(LedgerCollector()).decode())
    return {
        " ".join([sample.name, *(value for _, value in sorted(sample.labels.items()))]): sample.value
        for family in families
        for sample in family.samples
    }


def test_jobs_are_counted_by_queue_and_status(take: Claim) -> None:
    for _ in range(2):
        probe.nothing.using(ordering_key="k").enqueue()
    probe.nothing.using(run_after=HOUR).enqueue()
    probe.tidy.enqueue()
    [dead] = Job.objects.filter(pk=probe.nothing.enqueue().pk)
    Job.objects.filter(pk=dead.pk).update(status=JobStatus.DEAD, finished_at=database_now())
    take(limit=1)
    assert list(of("default").jobs.items()) == [
        ("scheduled", 1), ("ready", 0), ("blocked", 1), ("running", 1), ("dead", 1),
    ]  # fmt: skip
    assert of("maintenance").jobs[JobStatus.READY] == 1


def test_a_queue_that_nobody_declares_is_seen_as_soon_as_it_was_served_or_counted() -> None:
    for name in ("served", "counted"):
        probe.nothing.using(queue_name=name).enqueue()
    Queue.objects.create(name="served")
    Tally.objects.create(
        span=Span.EVER, start=EPOCH, queue_name="counted", task="nothing", measure="enqueued", amount=1
    )
    assert of("served").jobs[JobStatus.READY] == of("counted").jobs[JobStatus.READY] == 1


def test_the_oldest_ready_job_is_the_longest_due_one_whatever_its_place(take: Claim) -> None:
    now = database_now()
    assert of("default").oldest_ready is None
    for tenant, priority, age in (("a", 5, 10), ("a", 0, 70), ("b", 0, 30)):
        job = probe.nothing.using(fairness_key=tenant, priority=priority).enqueue()
        Job.objects.filter(pk=job.pk).update(run_after=now - timedelta(seconds=age))
    assert of("default", now).oldest_ready == 70


def test_suspects_are_ready_too(take: Claim) -> None:
    probe.nothing.enqueue()
    [job] = take()
    crash(job, now=database_now())
    assert of("default").jobs[JobStatus.READY] == 1
    assert of("default").oldest_ready is not None


def test_a_count_ends_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "CAP", 3)
    for _ in range(5):
        probe.nothing.enqueue()
        probe.nothing.using(run_after=HOUR).enqueue()
    assert of("default").jobs[JobStatus.READY] == of("default").jobs[JobStatus.SCHEDULED] == 3


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan is SQLite's")
def test_every_look_reads_no_more_of_an_index_than_the_cap() -> None:
    """Nothing is sorted, and no table is read from end to end."""
    with plans() as found:
        queue_stats(database_now())
    used = {"job_claim", "job_suspects", "job_due", "job_leases", "job_dead", "job_chain"}
    assert {index for index in used if any(index in step for step in found)} == used
    for step in found:
        assert "queueing_job" not in step or "USING" in step, step
        assert "TEMP B-TREE" not in step, step


def test_workers_and_pauses_are_told() -> None:
    now = database_now()
    both, one = "default, maintenance", "default"
    for name, seen, queues in (("w1", now, both), ("w2", now, one), ("gone", now - HOUR, both)):
        Worker.objects.create(worker_id=name, queues=queues, threads=8, running=1, started_at=now, seen_at=seen)
    pause("maintenance", by="test", now=now)
    assert [(queue.name, queue.workers, queue.paused) for queue in queue_stats(now)] == [
        ("default", 2, False),
        ("maintenance", 1, True),
    ]
    assert (
        samples().items()
        >= {
            "queueing_workers": 2,
            "queueing_worker_threads": 16,
            "queueing_paused maintenance": 1,
            "queueing_serving_workers default": 2,
        }.items()
    )


def test_the_rate_is_that_of_the_last_minutes() -> None:
    now = database_now().replace(second=30, microsecond=0)
    for minutes, amount in ((0, 30), (1, 60), (2, 1000)):
        start = now.replace(second=0) - timedelta(minutes=minutes)
        for measure in ("succeeded", "failed", "enqueued"):
            Tally.objects.create(
                span=Span.MINUTE, start=start, queue_name="default", task="a", measure=measure, amount=amount
            )
    assert of("default", now).rate == 2 * 90 / 90


# --- What Prometheus reads -------------------------------------------------------------------------------------------


def test_counters_and_histograms_are_those_of_all_time() -> None:
    for measure, bucket, amount in (
        ("enqueued", "", 5), ("succeeded", "", 3), ("crashed", "", 1), ("lease_lost", "", 2),
        ("wait", "0.01", 3), ("wait", "+Inf", 1), ("wait_seconds", "", 4000.5),
    ):  # fmt: skip
        Tally.objects.create(
            span=Span.EVER, start=EPOCH, queue_name="q", task="t", measure=measure, bucket=bucket, amount=amount
        )
    read = samples()
    assert (
        read.items()
        >= {
            "queueing_enqueued_total q t": 5,
            "queueing_attempts_total succeeded q t": 3,
            "queueing_attempts_total crashed q t": 1,
            "queueing_rescues_total q t": 1,
            "queueing_lease_losses_total q t": 2,
            "queueing_wait_seconds_count q t": 4,
            "queueing_wait_seconds_sum q t": 4000.5,
            "queueing_wait_seconds_bucket 0.005 q t": 0,
            "queueing_wait_seconds_bucket 0.01 q t": 3,
            "queueing_wait_seconds_bucket 1800.0 q t": 3,
            "queueing_wait_seconds_bucket +Inf q t": 4,
        }.items()
    )


def test_a_worker_counts_what_it_does_also_when_it_is_killed(start: Start) -> None:
    start()
    well = probe.nothing.enqueue()
    eventually(lambda: Job.objects.filter(pk=well.pk, status=JobStatus.SUCCEEDED).exists(), within=20)
    badly = probe.exit_process.enqueue(word="x")
    eventually(lambda: Job.objects.filter(pk=badly.pk, status=JobStatus.DEAD).exists(), within=20)
    expected = {
        "queueing_enqueued_total default nothing": 1,
        "queueing_attempts_total succeeded default nothing": 1,
        "queueing_run_seconds_count default nothing": 1,
        "queueing_attempts_total crashed default exit_process": 4,  # once among others, three times alone
        "queueing_rescues_total default exit_process": 4,
        "queueing_jobs default dead": 1,
    }
    eventually(lambda: samples().items() >= expected.items(), within=20)


# --- The command -----------------------------------------------------------------------------------------------------


def test_the_command_shows_a_table(take: Claim) -> None:
    probe.nothing.enqueue()
    pause("maintenance", by="test", now=database_now())
    out = StringIO()
    call_command("queue_stats", stdout=out)
    head, default, maintenance, workers = out.getvalue().splitlines()
    assert head.split() == [
        "queue",
        "scheduled",
        "ready",
        "blocked",
        "running",
        "dead",
        "oldest",
        "ready",
        "ended/s",
        "workers",
    ]
    assert default.split()[:6] == ["default", "0", "1", "0", "0", "0"]
    assert maintenance.endswith("paused")
    assert workers.startswith("0 workers")
    assert len({line.rstrip("paused ").rfind("0") for line in (default, maintenance)}) == 1  # in columns


def test_the_command_speaks_json() -> None:
    probe.nothing.enqueue()
    out = StringIO()
    call_command("queue_stats", "--json", stdout=out)
    [default, _] = json.loads(out.getvalue())["queues"]
    assert (default["name"], default["jobs"]["ready"], default["paused"]) == ("default", 1, False)


def test_the_command_watches_until_it_is_interrupted(start: Start) -> None:
    process = start("queue_stats", "--watch", "--interval", "0.05", "--json")
    eventually(lambda: len(process.log.read_text().splitlines()) >= 3, within=15)
    process.signal_all(signal.SIGINT)
    assert process.wait() == 0
    assert "Traceback" not in process.log.read_text()
