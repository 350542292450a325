"""What the proof runs on: each makes one fresh installation after another, and lets it be read beside the product."""

from __future__ import annotations

import shutil
import sqlite3
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from tests.stand_ins.servers import SQS as SQSServer
from tests.stand_ins.servers import PostgreSQL as PostgreSQLServer
from tests.stand_ins.servers import Server
from tests.stand_ins.servers import Valkey as ValkeyServer

DATABASES = 16  # of one Redis server
IDS_APART = 10_000  # message ids of two installations never meet: the twin's late callbacks carry them


@dataclass(frozen=True, slots=True)
class Installation:
    """A copy of the prepared one.

    Attributes:
        number: from 1.
        database: the NAME in Django's settings.
        queue_url: for settings.QUEUE_URL.
    """

    number: int
    database: str
    queue_url: str


class Backend(ABC):
    """A database and a carrier, with their servers.

    Args:
        directory: for files.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.servers: list[Server] = []

    @property
    @abstractmethod
    def env(self) -> dict[str, str]:
        """What the prepared installation is configured with."""

    @abstractmethod
    def copy(self, number: int) -> str:
        """A new database with everything that the prepared one holds. Returns its NAME."""

    @abstractmethod
    def rows(self, database: str, sql: str) -> list[dict[str, Any]]:
        """What a database holds. Closed again at once: the processes to be forked must not share a connection."""

    def is_writable(self, database: str) -> bool:
        """Whether nobody holds a lock that keeps everybody else from writing."""
        return True

    def queue_url(self, number: int) -> str:
        return self.env["QUEUE_URL"]

    def fresh(self, number: int) -> Installation:
        return Installation(number, self.copy(number), self.queue_url(number))

    def start(self) -> None:
        for server in self.servers:
            server.start()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


class SQLite(Backend):
    """`database://` on a file."""

    @property
    def env(self) -> dict[str, str]:
        return {"DATABASE_URL": f"sqlite:///{self.prepared}", "QUEUE_URL": "database://"}

    @property
    def prepared(self) -> Path:
        return self.directory / "prepared.sqlite3"

    def copy(self, number: int) -> str:
        for old in self.directory.glob(f"copy{number - 2}.sqlite3*"):
            old.unlink()
        path = self.directory / f"copy{number}.sqlite3"
        shutil.copy(self.prepared, path)
        database = sqlite3.connect(path)
        with database:
            database.execute(
                "UPDATE sqlite_sequence SET seq = ? WHERE name = 'conversations_message'", [number * IDS_APART]
            )
        database.close()
        return str(path)

    def rows(self, database: str, sql: str) -> list[dict[str, Any]]:
        connection = sqlite3.connect(database, timeout=5)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA query_only = 1")
            return [dict(row) for row in connection.execute(sql)]
        finally:
            connection.close()

    def is_writable(self, database: str) -> bool:
        connection = sqlite3.connect(database, timeout=0, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        else:
            return True
        finally:
            connection.close()


class PostgreSQL(Backend):
    """`database://` on a server."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.server = PostgreSQLServer()
        self.servers.append(self.server)

    @property
    def env(self) -> dict[str, str]:
        return {"DATABASE_URL": self.server.database("prepared"), "QUEUE_URL": "database://"}

    def start(self) -> None:
        super().start()
        self.server.create("prepared")

    def copy(self, number: int) -> str:
        name = f"copy{number}"
        if number > 2:
            self.server.execute(f"DROP DATABASE copy{number - 2} WITH (FORCE)")
        self.server.execute(f"CREATE DATABASE {name} TEMPLATE prepared STRATEGY FILE_COPY")
        sequence = "pg_get_serial_sequence('conversations_message', 'id')"
        self.server.execute(f"SELECT setval({sequence}, {number * IDS_APART})", database=name)
        return name

    def rows(self, database: str, sql: str) -> list[dict[str, Any]]:
        import psycopg
        from psycopg.rows import dict_row

        with psycopg.connect(self.server.database(database), row_factory=dict_row) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[call-overload,no-any-return]


class Redis(SQLite):
    """`redis://`, with the ledger on a file."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.server = ValkeyServer()
        self.servers.append(self.server)

    @property
    def env(self) -> dict[str, str]:
        return super().env | {"QUEUE_URL": self.queue_url(0)}

    def queue_url(self, number: int) -> str:
        return f"redis://127.0.0.1:{self.server.port}/{number % DATABASES}"

    def fresh(self, number: int) -> Installation:
        redis.Redis(port=self.server.port, db=number % DATABASES).flushdb()
        return super().fresh(number)


class SQS(SQLite):
    """`sqs://`, with the ledger on a file."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.server = SQSServer()
        self.servers.append(self.server)

    @property
    def env(self) -> dict[str, str]:
        return super().env | self.server.env | {"QUEUE_URL": self.queue_url(0)}

    def queue_url(self, number: int) -> str:
        return f"sqs://eu-west-1?endpoint_url={self.server.endpoint}&prefix=p{number}-"


BACKENDS: dict[str, type[Backend]] = {"sqlite": SQLite, "postgresql": PostgreSQL, "redis": Redis, "sqs": SQS}
