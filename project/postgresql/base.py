"""A database backend for `DATABASES`: Django's own for PostgreSQL, with another way of taking from the pool.

Django's health check costs every request a round trip, and after a restart of the server psycopg's pool pauses for a
second, then two, at each dead connection that it meets. A connection whose server is gone has its end to read.
"""

from __future__ import annotations

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg import IsolationLevel

from project.deadline import seconds_left


class DatabaseWrapper(base.DatabaseWrapper):
    """Every connection comes from the pool, which is made by the first one that a process asks for, after its fork."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Raises psycopg.OperationalError when the request has no time left, or none is free in that time."""
        pool = self.pool
        if pool is None:  # Django makes and drops the databases of tests without one
            return super().get_new_connection(conn_params)
        self.isolation_level = IsolationLevel.READ_COMMITTED
        pool.open()
        while True:
            connection = pool.getconn(timeout=min(seconds_left(), pool.timeout))
            if not _has_ended(connection):
                return connection
            connection.close()
            pool.putconn(connection)


def _has_ended(connection: Any) -> bool:
    """A server says nothing to an idle client, but goodbye."""
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    return bool(socket.poll(0))
