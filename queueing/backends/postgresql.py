"""`database://` on PostgreSQL: the database is the queue, and NOTIFY is the ring."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult

import psycopg
from django.db import DatabaseError, InterfaceError, connection

from .breaker import Patience
from .database import DatabaseBackend

logger = logging.getLogger(__name__)

CHANNEL = "queueing_ring"
COALESCE_SECONDS = 0.005  # a ring stands for those of the same process that follow within it
SLICE_SECONDS = 0.2  # how soon an idle listener notices that it is to end


class PostgreSQLBackend(DatabaseBackend):
    """Rings wake every worker that listens; the first to claim gets the job, and the others skip what is locked."""

    def __init__(self, url: SplitResult) -> None:
        super().__init__(url)
        self._rung_at: dict[str, float] = {}

    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        """NOTIFY in a transaction of its own, which does not wait for the disk.

        A transaction that notifies holds a lock of the whole server while it commits, so an enqueue that carried the
        ring with it would make all others wait for its fsync.
        """
        now = time.monotonic()
        if now - self._rung_at.get(queue_name, 0.0) < COALESCE_SECONDS:
            return
        self._rung_at[queue_name] = now
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, %s)", [CHANNEL, queue_name]
                )
        except (DatabaseError, InterfaceError) as error:
            logger.warning("a ring was lost with its connection: %s", type(error).__name__)

    def listen(self, queue_names: Sequence[str], *, wake: Callable[[], None], until: Callable[[], bool]) -> None:
        """LISTEN on a connection of its own, outside the pool, where it would stand in the way of the jobs."""
        patience = Patience("the database's bell", until=until)
        while not until():
            try:
                with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as listening:
                    listening.execute(f"LISTEN {CHANNEL}")
                    patience.restored()
                    wake()  # for what was rung before we listened
                    while not until():
                        self._hear(listening, set(queue_names), wake)
            except psycopg.Error as error:
                patience.wait(error)

    def _hear(self, listening: psycopg.Connection, queue_names: set[str], wake: Callable[[], None]) -> None:
        """The rings that have come, or a slice of silence. Woken once more for those that they stand for."""
        rings = listening.notifies(timeout=SLICE_SECONDS, stop_after=1)
        if queue_names & {ring.payload for ring in rings}:
            wake()
            time.sleep(2 * COALESCE_SECONDS)
            wake()
