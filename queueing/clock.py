"""The time that leases, delays and schedules are measured by: the database's, never a worker's.

SQLite lives on the worker's machine, so there the two are one.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.utils import timezone


def database_now() -> datetime:
    """The database server's current time (not the transaction's start), aware."""
    if connection.vendor == "sqlite":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    moment: datetime = row[0]
    return moment


def sql_time(moment: datetime) -> datetime | str | None:
    """`moment` as a parameter of raw SQL: SQLite keeps times as text, in one form that must compare."""
    return connection.ops.adapt_datetimefield_value(moment)
