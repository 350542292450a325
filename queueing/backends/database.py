"""`database://`: the database itself is the queue, and its commits are the rings."""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.db import DatabaseError, connection

from queueing.errors import BackendUnavailable

from .base import Backend, Doorbell

SQLITE_LOOK_SECONDS = (
    0.005  # one PRAGMA costs some ten microseconds: an idle worker spends well under 1 % of a core on it
)


class CommitDoorbell(Doorbell):
    """SQLite: `PRAGMA data_version` changes when another connection has committed; no table is read."""

    def __init__(self) -> None:
        self._seen = self._version()

    def wait(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            version = self._version()
            if version != self._seen:
                self._seen = version
                return True
            time.sleep(SQLITE_LOOK_SECONDS)
        return False

    def close(self) -> None:
        connection.close()

    def _version(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            version: int = cursor.fetchone()[0]
            return version


class PollDoorbell(Doorbell):
    """Rings by the clock, for databases that cannot tell of a commit."""

    def wait(self, timeout: float) -> bool:
        time.sleep(timeout)
        return True


class DatabaseBackend(Backend):
    """No carrier at all: nothing that could be lost, nothing else to run."""

    def ring(self, queue_name: str, job_ids: Sequence[int]) -> None:
        """The commit has rung already."""

    def doorbell(self, queue_names: Sequence[str]) -> Doorbell:
        return CommitDoorbell() if connection.vendor == "sqlite" else PollDoorbell()

    def check(self) -> None:
        try:
            connection.ensure_connection()
        except DatabaseError as error:
            raise BackendUnavailable(f"the database, which is the queue, cannot be reached: {error}") from error
