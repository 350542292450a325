"""Crash points: every place where a process changes something outside itself, counted from outside the product.

A point is a database commit that wrote something, a request to another server (HTTP, Redis, SQS), or the answer to one.
`install()` wraps the libraries that these go through. A process that is `arm`ed counts its points, writes each to a
journal, and is killed right before or right after the one that it was told.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SIDES = ("before", "after")
HEARTBEAT = "supervisor"  # the thread whose points come by the clock: counted apart, or no run would be like another


@dataclass(frozen=True, slots=True)
class Fatal:
    """Where a process is to be killed.

    Attributes:
        role: web, worker, alone (the worker that runs suspects) or scheduler.
        nth: of its points, from 1.
        side: before or after what happens there.
        life: 0 for the first process of that role, 1 for the one that follows it.
        match: count only the points whose names hold this.
        machine: all processes of the role's group die together, so nobody is there who knows of it.
        heartbeat: count the points of the thread that renews the leases, and only these.
    """

    role: str
    nth: int
    side: str
    life: int = 0
    match: str = ""
    machine: bool = False
    heartbeat: bool = False

    def __str__(self) -> str:
        what = f"{self.role}/{self.life} {self.side} #{self.nth}"
        return (
            what
            + (f" of {self.match}" if self.match else "")
            + (" (heartbeat)" if self.heartbeat else "")
            + (" (machine)" if self.machine else "")
        )


class Points:
    """Counts the points of this process."""

    def __init__(self, role: str, life: int, fatal: Fatal | None, journal: Path) -> None:
        self.role, self.life, self.fatal, self.journal = role, life, fatal, journal
        self._lock = threading.Lock()
        self._passed = 0

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        heartbeat = threading.current_thread().name == HEARTBEAT
        nth = None
        if heartbeat == bool(self.fatal and self.fatal.heartbeat) and (not self.fatal or self.fatal.match in name):
            with self._lock:
                self._passed += 1
                nth = self._passed
            self._write("passes", nth, "", name)
        self._die_if(nth, "before", name)
        try:
            yield
        finally:
            self._die_if(nth, "after", name)

    def _die_if(self, nth: int | None, side: str, name: str) -> None:
        if self.fatal and (nth, side) == (self.fatal.nth, self.fatal.side):
            self._write("killed", nth, side, name)
            if self.fatal.machine:
                os.killpg(os.getpgrp(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()  # the signal takes this thread a moment later than the call returns

    def _write(self, what: str, nth: int | None, side: str, name: str) -> None:
        """One line, whole: short appends to one file do not mix."""
        line = "\t".join((what, self.role, str(self.life), str(nth), side, name, str(os.getpid()))) + "\n"
        file = os.open(self.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)


_points: Points | None = None


def arm(points: Points) -> None:
    """From here on this process counts, and dies where it was told."""
    global _points
    _points = points


@contextmanager
def point(name: str) -> Iterator[None]:
    if _points is None:
        yield
    else:
        with _points.around(name):
            yield


def install() -> None:
    """Wrap every library that this process may reach the world by."""
    _wrap_commits()
    _wrap_http()
    _wrap_redis()
    _wrap_sqs()
    _wrap_answers()


def _wrap(owner: type, method: str, name: Callable[..., str]) -> None:
    original = getattr(owner, method)

    @functools.wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        with point(name(self, *args, **kwargs)):
            return original(self, *args, **kwargs)

    setattr(owner, method, wrapped)


# --- The database ---------------------------------------------------------------------------------------------------

_WRITE = re.compile(r"\b(INSERT|UPDATE|DELETE)\b(?:\s+(?:OR\s+\w+\s+)?(?:INTO|FROM))?\s+\"?(?:\w+?_)?(\w+)\"?", re.I)


def _written(sql: str) -> str | None:
    """`update job` for a statement that writes, else None. A lock taken by `FOR UPDATE` writes nothing."""
    found = _WRITE.search(re.sub(r"FOR (NO KEY )?UPDATE", "", sql))
    return f"{found[1].lower()} {found[2]}" if found else None


def _wrap_commits() -> None:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

    commit, begin = BaseDatabaseWrapper._commit, BaseDatabaseWrapper.set_autocommit  # type: ignore[attr-defined]

    def wrapped_commit(self: Any) -> Any:
        writes, self.proof_writes = getattr(self, "proof_writes", []), []
        if not writes:
            return commit(self)
        with point("commit " + ", ".join(dict.fromkeys(writes))):
            return commit(self)

    def wrapped_begin(self: Any, autocommit: bool, *args: Any, **kwargs: Any) -> Any:
        if not autocommit:
            self.proof_writes = []
        return begin(self, autocommit, *args, **kwargs)

    def wrap_execution(method: str) -> None:
        original = getattr(CursorWrapper, method)

        def wrapped(self: Any, sql: str, *args: Any) -> Any:
            write = _written(sql)
            if write and not self.db.in_atomic_block:
                with point(f"commit {write}"):
                    return original(self, sql, *args)
            if write:
                self.db.proof_writes = [*getattr(self.db, "proof_writes", []), write]
            return original(self, sql, *args)

        setattr(CursorWrapper, method, wrapped)

    BaseDatabaseWrapper._commit = wrapped_commit  # type: ignore[attr-defined]
    BaseDatabaseWrapper.set_autocommit = wrapped_begin  # type: ignore[method-assign,assignment]
    wrap_execution("_execute")
    wrap_execution("_executemany")


# --- Other servers --------------------------------------------------------------------------------------------------


def _wrap_http() -> None:
    import httpx

    _wrap(httpx.Client, "send", lambda self, request, **_: f"{request.method} {_tail(str(request.url))}")


def _wrap_redis() -> None:
    import redis
    from redis.client import Pipeline

    _wrap(redis.Redis, "execute_command", lambda self, *args, **_: f"redis {args[0]}")
    _wrap(Pipeline, "execute", lambda self, *_, **__: "redis pipeline")


def _wrap_sqs() -> None:
    from botocore.httpsession import URLLib3Session

    def name(self: object, request: Any) -> str:
        return f"sqs {_text(request.headers.get('X-Amz-Target', '')).rpartition('.')[2]}"

    _wrap(URLLib3Session, "send", name)


def _wrap_answers() -> None:
    from django.core.servers.basehttp import ServerHandler

    _wrap(ServerHandler, "write", lambda self, *_: f"answer {_tail(self.environ['PATH_INFO'])}")


def _tail(url: str) -> str:
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
