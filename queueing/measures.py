"""What is counted of the ledger's rows, and how the database counts it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import connection

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Upper bounds of the histograms' buckets, in seconds, as Prometheus writes them.
BOUNDS = (
    *("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0"),
    *("30.0", "60.0", "300.0", "1800.0", "+Inf"),
)


class Measure(StrEnum):
    """What is counted, besides the attempts of each `AttemptOutcome`."""

    ENQUEUED = "enqueued"
    LEASE_LOST = "lease_lost"  # an execution that ended when the job was not its worker's any more: done in vain
    WAIT = "wait"  # by bucket: from the moment an attempt was due until its start
    WAIT_SECONDS = "wait_seconds"  # their sum
    RUN = "run"  # by bucket: from an attempt's start until its end
    RUN_SECONDS = "run_seconds"


@dataclass(frozen=True, slots=True)
class Counted:
    """What an amount belongs to; see the fields of `Tally`."""

    minute: datetime
    queue_name: str
    task: str
    measure: str
    bucket: str = ""


Amounts = dict[Counted, float]


def enqueued(after: int, upto: int) -> Amounts:
    """The jobs with these ids, in the minutes of their enqueue."""
    rows = _query(
        f"SELECT {_minute('enqueued_at')}, queue_name, task, count(*)"  # noqa: S608  (names of columns only)
        " FROM queueing_job WHERE id > %s AND id <= %s GROUP BY 1, 2, 3",
        after,
        upto,
    )
    return {
        Counted(_moment(minute), queue_name, task, Measure.ENQUEUED): count for minute, queue_name, task, count in rows
    }


def ended(after: int, upto: int) -> Amounts:
    """The attempts with these ids, in the minutes of their ends: their outcomes, and how long they waited and ran."""
    rows = _query(
        f"""
        WITH fresh AS MATERIALIZED (
            SELECT {_minute("a.finished_at")} AS minute, j.queue_name, j.task, a.outcome,
                {_seconds("a.due_at", "a.started_at")} AS wait, {_seconds("a.started_at", "a.finished_at")} AS run
            FROM queueing_attempt a JOIN queueing_job j ON j.id = a.job_id
            WHERE a.id > %s AND a.id <= %s
        )
        SELECT minute, queue_name, task, outcome, {_bucket("wait")}, {_bucket("run")}, count(*),
            sum(CASE WHEN wait > 0 THEN wait ELSE 0 END), sum(CASE WHEN run > 0 THEN run ELSE 0 END)
        FROM fresh GROUP BY 1, 2, 3, 4, 5, 6
        """,  # noqa: S608  (names of columns and constants only)
        after,
        upto,
    )
    amounts: Amounts = defaultdict(float)
    for minute, queue_name, task, outcome, wait, run, count, wait_seconds, run_seconds in rows:
        what = _moment(minute), queue_name, task
        amounts[Counted(*what, outcome)] += count
        amounts[Counted(*what, Measure.WAIT, wait)] += count
        amounts[Counted(*what, Measure.WAIT_SECONDS)] += float(wait_seconds)
        amounts[Counted(*what, Measure.RUN, run)] += count
        amounts[Counted(*what, Measure.RUN_SECONDS)] += float(run_seconds)
    return amounts


def _query(sql: str, *parameters: int) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _minute(moment: str) -> str:
    """Whole minutes since 1970."""
    if connection.vendor == "sqlite":
        return f"CAST(strftime('%%s', {moment}) AS INTEGER) / 60"
    return f"floor(extract(epoch FROM {moment}) / 60)::bigint"


def _moment(minutes: int) -> datetime:
    return EPOCH + timedelta(minutes=minutes)


def _seconds(start: str, end: str) -> str:
    """From one column to another. SQLite's own clock functions know milliseconds, no less."""
    if connection.vendor == "sqlite":
        return f"round((julianday({end}) - julianday({start})) * 86400.0, 3)"
    return f"extract(epoch FROM {end} - {start})"


def _bucket(column: str) -> str:
    cases = " ".join(f"WHEN {column} <= {bound} THEN '{bound}'" for bound in BOUNDS[:-1])
    return f"CASE {cases} ELSE '{BOUNDS[-1]}' END"
