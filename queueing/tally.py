"""Counts what the ledger has gained since the last look: enqueued jobs, ended attempts, and how long they took.

Nothing is counted where the work is done. Every enqueue and every end of an attempt is a row already, committed with
what it stands for; so the counts are exact whichever process is killed, and cost the way of a job nothing. The workers'
supervisors look every few seconds. How far has been counted is written in the transaction that adds to the tallies, so
two that look at once count once.

The tallies outlive the rows: one for each minute and each hour, for charts, and one of all time, for counters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Max, Model

from .clock import sql_time
from .measures import EPOCH, Amounts, Counted, Measure, ended, enqueued
from .models import Attempt, Job, Span, Tally, TallyMark

LOOK_EVERY = timedelta(seconds=5)
ROWS_AT_ONCE = 20_000  # about 0.1 s: whoever counts has leases to renew
KEPT = {Span.MINUTE: timedelta(days=2), Span.HOUR: timedelta(days=60)}
UPSERT_ROWS = 500


def tally(now: datetime) -> None:
    """Count what is new, unless that was done within the last seconds; a large backlog in several calls."""
    _look(Job, enqueued, now)
    _look(Attempt, ended, now)


def count_lost(job: Job, now: datetime) -> None:
    """Count an execution whose end the fence refused. It is rare, and the only event without a row of its own."""
    minute = now.replace(second=0, microsecond=0)
    _add({Counted(minute, job.queue_name, job.task, Measure.LEASE_LOST): 1})


def _look(model: type[Model], count: Callable[[int, int], Amounts], now: datetime) -> None:
    """Count the rows of one table by their ids.

    On PostgreSQL a row may be committed after another one with a higher id. So a look only notes the highest id, and
    which transactions are open; a later one counts up to there, once those have ended. SQLite writes one by one.
    """
    table = model._meta.db_table
    mark, _ = TallyMark.objects.get_or_create(table=table)
    if mark.looked_at and abs(now - mark.looked_at) < LOOK_EVERY:
        return
    newest: int = model._default_manager.aggregate(newest=Max("pk"))["newest"] or 0
    if newest <= mark.counted:
        return
    oldest_open, next_transaction = _transactions()
    seen = newest if connection.vendor == "sqlite" else mark.seen
    upto = min(seen, mark.counted + ROWS_AT_ONCE) if oldest_open >= mark.seen_before else mark.counted
    amounts = count(mark.counted, upto)
    changes: dict[str, object] = {"counted": upto, "looked_at": None}  # None: there is more, look again soon
    if upto == seen:
        changes |= {"seen": newest, "seen_before": next_transaction, "looked_at": now}
    with transaction.atomic():
        if TallyMark.objects.filter(table=table, counted=mark.counted, seen=mark.seen).update(**changes):
            _add(amounts)
            for span, kept in KEPT.items():
                Tally.objects.filter(span=span, start__lt=now - kept).delete()


def _transactions() -> tuple[int, int]:
    """PostgreSQL's oldest open transaction, and the next one to begin."""
    if connection.vendor == "sqlite":
        return 0, 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() s"
        )
        oldest_open, next_transaction = cursor.fetchone()
    return oldest_open, next_transaction


def _add(amounts: Amounts) -> None:
    """Add to the tallies of each span. Always in the same order, so that two who add never wait in a circle."""
    rows: dict[tuple[Span, datetime, str, str, str, str], float] = defaultdict(float)
    for what, amount in amounts.items():
        for span, start in _spans(what.minute):
            rows[span, start, what.queue_name, what.task, what.measure, what.bucket] += amount
    ordered = sorted(rows.items())
    for n in range(0, len(ordered), UPSERT_ROWS):
        batch = ordered[n : n + UPSERT_ROWS]
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                INSERT INTO queueing_tally (span, start, queue_name, task, measure, bucket, amount)
                VALUES {", ".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(batch))}
                ON CONFLICT (span, start, queue_name, task, measure, bucket)
                DO UPDATE SET amount = queueing_tally.amount + excluded.amount
                """,  # noqa: S608  (placeholders only)
                [
                    value
                    for (span, start, *rest), amount in batch
                    for value in (span.value, sql_time(start), *rest, amount)
                ],
            )


def _spans(minute: datetime) -> Iterator[tuple[Span, datetime]]:
    yield Span.EVER, EPOCH
    yield Span.MINUTE, minute
    yield Span.HOUR, minute.replace(minute=0)
