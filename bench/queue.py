"""Times the queue on the configured database and backend: `python -m bench.queue [NAME …]`, without names all of them.

Without DATABASE_URL it makes a SQLite file of its own, with the product's durable settings. Figures of one machine mean
little; ratios of figures from one run mean more. Nothing here is a test.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    directory = tempfile.mkdtemp(prefix="recado-bench-")
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "a key of the benchmarks, longer than fifty characters, and of no use elsewhere",
        "PUBLIC_BASE_URL": "https://bot.example.com",
        "VAR_DIR": directory,
        "LOG_LEVEL": "ERROR",
    }
    os.environ.setdefault("DATABASE_URL", f"sqlite:///{directory}/bench.sqlite3")

import django  # noqa: E402  (what it reads must be set first)

django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.management.color import no_style  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from bench.load.tasks import noop, wait, write  # noqa: E402
from queueing.claim import claim  # noqa: E402
from queueing.clock import database_now  # noqa: E402
from queueing.fairness import Fairness  # noqa: E402
from queueing.insert import insert  # noqa: E402
from queueing.models import Attempt, Job, JobStatus  # noqa: E402
from queueing.service import QueueService  # noqa: E402


@contextmanager
def worker(threads: int) -> Iterator[subprocess.Popen[bytes]]:
    """A `rqworker` that is up and has room."""
    command = [sys.executable, "manage.py", "rqworker", "bench", "--threads", str(threads)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ, start_new_session=True)
    try:
        up = noop.enqueue()
        while Job.objects.filter(pk=up.pk, finished_at=None).exists():
            time.sleep(0.02)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def finish() -> None:
    """Wait until every job has ended."""
    while Job.objects.filter(finished_at=None).exists():
        time.sleep(0.02)


def clear() -> None:
    """Empty tables, not full ones of deleted rows: those would cost PostgreSQL's next claims more than live ones."""
    tables = [model._meta.db_table for model in (Attempt, Job)]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables, allow_cascade=True))


def seconds_of(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def span() -> float:
    """Seconds from the first start to the last end of the jobs, by the ledger."""
    jobs = Job.objects.filter(task__in=("noop", "wait", "write"))
    first = jobs.order_by("started_at").values_list("started_at", flat=True)[0]
    last = jobs.order_by("-finished_at").values_list("finished_at", flat=True)[0]
    return max((last - first).total_seconds(), 1e-6)


def bench_enqueue() -> None:
    count = 3000
    single = seconds_of(lambda: [noop.enqueue() for _ in range(count)])
    many = seconds_of(lambda: QueueService.enqueue_many([(noop, {})] * 20_000))
    report("enqueues/s, one by one", count / single)
    report("enqueues/s, enqueue_many", 20_000 / many)


def bench_noop(count: int = 20_000) -> None:
    with worker(threads=16):
        clear()
        QueueService.enqueue_many([(noop, {})] * count)
        finish()
        report("no-op jobs/s, one process, 16 threads", count / span())


def bench_write(count: int = 5000) -> None:
    with worker(threads=16):
        clear()
        QueueService.enqueue_many([(write, {"number": number}) for number in range(count)])
        finish()
        report("jobs/s with one fenced write each", count / span())


def bench_io(threads: int = 500, count: int = 5000) -> None:
    with worker(threads=threads) as process:
        before = memory_of(process.pid)
        clear()
        QueueService.enqueue_many([(wait, {"seconds": 1})] * count)
        time.sleep(4)
        during = memory_of(process.pid)
        finish()
        report(f"1 s jobs/s, {threads} threads", count / span())
        report("MiB per running job", (during - before) / threads)


def bench_latency(count: int = 300) -> None:
    with worker(threads=8):
        clear()
        time.sleep(1)
        for _ in range(count):
            noop.enqueue()
            time.sleep(0.03)
        finish()
        waits = [
            (job.started_at - job.enqueued_at).total_seconds() * 1000 for job in Job.objects.all() if job.started_at
        ]
        report("enqueue to start, ms, p50", statistics.median(waits))
        report("enqueue to start, ms, p99", statistics.quantiles(waits, n=100)[98])


def bench_fairness(backlog: int = 100_000, count: int = 200) -> None:
    """How long the jobs of a quiet tenant wait beside the backlog of a noisy one."""
    noisy = wait.using(fairness_key="noisy")
    with worker(threads=16):
        clear()
        for _ in range(0, backlog, 10_000):
            QueueService.enqueue_many([(noisy, {"seconds": 0.05})] * 10_000)
        quiet = []
        for _ in range(count):
            quiet.append(noop.using(fairness_key="quiet").enqueue().pk)
            time.sleep(0.05)
        while Job.objects.filter(pk__in=quiet, finished_at=None).exists():
            time.sleep(0.02)
        left = Job.objects.filter(fairness_key="noisy", finished_at=None).count()
        waits = [
            (job.started_at - job.enqueued_at).total_seconds() * 1000
            for job in Job.objects.filter(pk__in=quiet)
            if job.started_at
        ]
        report(f"beside {left:,} jobs of another tenant, ms, p50", statistics.median(waits))
        report("the same, p99", statistics.quantiles(waits, n=100)[98])


def bench_crash() -> None:
    """Kill the worker with its parent in the middle of a job; another one waits."""
    with worker(threads=1) as first:
        job = wait.enqueue(seconds=60)
        while not Job.objects.filter(pk=job.pk, status=JobStatus.RUNNING).exists():
            time.sleep(0.01)
        with worker(threads=4):  # it runs the no-op: the first one has its only thread taken
            os.killpg(first.pid, signal.SIGKILL)
            killed = time.perf_counter()
            while not Job.objects.filter(pk=job.pk, attempt__gt=1).exists():
                time.sleep(0.01)
            report("a killed worker's job runs again after s", time.perf_counter() - killed)
    clear()


def bench_claim() -> None:
    """The cost of one claim of ten jobs, as what waits beside them grows."""
    shapes: dict[str, Callable[[int], list[Job]]] = {
        "all ready": lambda n: [row() for _ in range(n)],
        "all scheduled later, at higher priority": lambda n: [
            row(status=JobStatus.SCHEDULED, priority=50, run_after=database_now() + timedelta(days=1)) for _ in range(n)
        ],
        "all behind one key": lambda n: [row(status=JobStatus.BLOCKED, ordering_key="one") for _ in range(n)],
        "all of one capped tenant": lambda n: [row(fairness_key="noisy") for _ in range(n)],
    }
    for name, make in shapes.items():
        costs = []
        for size in (1000, 100_000, 1_000_000):
            clear()
            for _ in range(0, size, 10_000):
                store(make(min(size, 10_000)))
            store([row(fairness_key="quiet") for _ in range(1000)])
            costs.append(statistics.median(claim_once() for _ in range(50)))
        report(f"claim, {name}: ms at 1,000 / 100,000 / 1,000,000", *(cost * 1000 for cost in costs))
    clear()


def store(jobs: list[Job]) -> None:
    with transaction.atomic():
        insert(jobs)


def row(**fields: object) -> Job:
    now = database_now()
    defaults = {"task": "noop", "queue_name": "bench", "status": JobStatus.READY, "run_after": now, "enqueued_at": now}
    return Job(**defaults | fields)


def claim_once() -> float:
    with transaction.atomic():
        cost = seconds_of(
            lambda: claim(
                queue_names=["bench"],
                limit=10,
                worker_id="bench",
                lease=timedelta(minutes=1),
                now=database_now(),
                fairness=Fairness(cap=5),
                running=Counter({"noisy": 5}),
            )
        )
        transaction.set_rollback(True)
    return cost


def memory_of(pid: int) -> float:
    """MiB (PSS) of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pss = 0
    for each in [pid, *children]:
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        pss += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return pss / 1024


def report(name: str, *figures: float) -> None:
    print(f"{name:55} " + " / ".join(f"{figure:,.2f}" for figure in figures), flush=True)


def main() -> None:
    call_command("migrate", verbosity=0)
    backend = os.environ.get("QUEUE_URL", "database://").partition(":")[0]
    print(f"{connection.vendor}, {backend}")
    benches = {name.removeprefix("bench_"): bench for name, bench in globals().items() if name.startswith("bench_")}
    for name in sys.argv[1:] or benches:
        benches[name]()


if __name__ == "__main__":
    main()
