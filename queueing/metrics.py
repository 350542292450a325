"""What Prometheus is told of the queue, read from the ledger and its tallies at each scrape.

No process counts for itself, so every web process gives the same answer, and a counter survives restarts. The tallies
lag by some ten seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from .clock import database_now
from .measures import BOUNDS, Measure
from .models import AttemptOutcome, Span, Tally
from .stats import CAP, living_workers, queue_stats

Lane = tuple[str, str]  # queue and task
HISTOGRAMS = (
    ("queueing_wait_seconds", "From when an attempt was due until it started.", Measure.WAIT, Measure.WAIT_SECONDS),
    ("queueing_run_seconds", "From an attempt's start until its end.", Measure.RUN, Measure.RUN_SECONDS),
)


class LedgerCollector(Collector):
    """All metrics of the queue, at a cost that does not grow with the number of jobs."""

    def collect(self) -> Iterator[Metric]:
        """Raises DatabaseError where the ledger cannot be read."""
        now = database_now()
        yield from _gauges(now)
        yield from _counters(_tallied())


def _gauges(now: datetime) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "queueing_jobs", f"Jobs by status; {CAP} stands for any number from there on.", labels=["queue", "status"]
    )
    oldest = GaugeMetricFamily(
        "queueing_oldest_ready_seconds", "How long the oldest ready job has been due; 0: none is.", labels=["queue"]
    )
    paused = GaugeMetricFamily("queueing_paused", "1 while no job of the queue may start.", labels=["queue"])
    serving = GaugeMetricFamily("queueing_serving_workers", "Worker processes that serve the queue.", labels=["queue"])
    for queue in queue_stats(now):
        for status, count in queue.jobs.items():
            jobs.add_metric([queue.name, status], count)
        oldest.add_metric([queue.name], queue.oldest_ready or 0.0)
        paused.add_metric([queue.name], queue.paused)
        serving.add_metric([queue.name], queue.workers)
    yield from (jobs, oldest, paused, serving)
    workers = living_workers(now)
    yield GaugeMetricFamily("queueing_workers", "Worker processes that were seen within a lease.", value=len(workers))
    threads = sum(worker.threads for worker in workers)
    yield GaugeMetricFamily("queueing_worker_threads", "How many jobs they can run at once.", value=threads)


def _tallied() -> dict[str, dict[Lane, dict[str, float]]]:
    """The amounts of all time: by measure, then by queue and task, then by bucket."""
    found: dict[str, dict[Lane, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    rows = Tally.objects.filter(span=Span.EVER).values_list("queue_name", "task", "measure", "bucket", "amount")
    for queue_name, task, measure, bucket, amount in rows:
        found[measure][queue_name, task][bucket] = amount
    return found


def _counters(tallied: dict[str, dict[Lane, dict[str, float]]]) -> Iterator[Metric]:
    for name, text, measure in (
        ("queueing_enqueued", "Jobs that were enqueued.", Measure.ENQUEUED),
        ("queueing_rescues", "Attempts taken back from workers that died or fell silent.", AttemptOutcome.CRASHED),
        (
            "queueing_lease_losses",
            "Executions whose end was refused: the job was another's by then.",
            Measure.LEASE_LOST,
        ),
    ):
        counter = CounterMetricFamily(name, text, labels=["queue", "task"])
        for lane, amounts in tallied[measure].items():
            counter.add_metric(lane, amounts[""])
        yield counter
    attempts = CounterMetricFamily("queueing_attempts", "Attempts by their end.", labels=["queue", "task", "outcome"])
    for outcome in AttemptOutcome.values:
        for lane, amounts in tallied[outcome].items():
            attempts.add_metric([*lane, outcome], amounts[""])
    yield attempts
    for name, text, measure, seconds in HISTOGRAMS:
        histogram = HistogramMetricFamily(name, text, labels=["queue", "task"])
        for lane, amounts in tallied[measure].items():
            histogram.add_metric(lane, _cumulative(amounts), tallied[seconds][lane][""])
        yield histogram


def _cumulative(amounts: dict[str, float]) -> list[tuple[str, float]]:
    total = 0.0
    return [(bound, total := total + amounts.get(bound, 0.0)) for bound in BOUNDS]
