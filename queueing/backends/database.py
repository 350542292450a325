"""`database://`: the database itself is the queue, and its commits are the rings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from django.db import DatabaseError, InterfaceError, connection

from queueing.errors import BackendUnavailable

from .base import Backend

LOOK_SECONDS = 0.005  # a look costs some 80 microseconds after that sleep: under 2 % of a core
AWAY_SECONDS = 0.2  # between two looks at a database that is away


class DatabaseBackend(Backend):
    """No carrier at all: nothing that could be lost, nothing else to run."""

    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        """The commit has rung already."""

    def listen(self, queue_names: Sequence[str], *, wake: Callable[[], None], until: Callable[[], bool]) -> None:
        seen = None
        while not until():
            try:
                version = _data_version()
            except (DatabaseError, InterfaceError):  # the worker's own loop says so, and waits for it to come back
                connection.close()
                time.sleep(AWAY_SECONDS)
                continue
            if version != seen:
                wake()
            seen = version
            time.sleep(LOOK_SECONDS)

    def check(self) -> None:
        try:
            connection.ensure_connection()
        except DatabaseError as error:
            raise BackendUnavailable(f"the database, which is the queue, cannot be reached: {error}") from error


def _data_version() -> int | None:
    """SQLite changes this number when another connection has committed; no table is read.

    None elsewhere: there the worker's poll serves.
    """
    if connection.vendor != "sqlite":
        return None
    connection.ensure_connection()
    with connection.wrap_database_errors:  # without Django's cursor, which more than doubles the cost of a look
        version: int = connection.connection.execute("PRAGMA data_version").fetchone()[0]
    return version
