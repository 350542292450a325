"""A connection to PostgreSQL that gives up when its request's time is up."""

from __future__ import annotations

from typing import Any

import psycopg

from project.deadline import seconds_left


class Connection(psycopg.Connection[Any]):
    """What the pool is made of. Outside a request it waits as long as the server lets it."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """psycopg waits here for every answer of the server.

        Raises psycopg.OperationalError after the deadline, and closes the connection: the answer may still come. The
        server ends the abandoned statement by itself (`client_connection_check_interval`) and rolls it back.
        """
        seconds = min(seconds_left(), float("inf") if timeout is None else timeout)
        try:
            return super().wait(gen, interval, None if seconds == float("inf") else seconds)
        except psycopg.OperationalError:
            if not seconds_left():
                self.pgconn.finish()
            raise
