"""A database backend for `DATABASES`: Django's own for SQLite, and one lock around a process's transactions.

SQLite lets one connection write at a time, and makes the others sleep and look again, for up to 0.1 s at a stretch,
with no order among them. Threads of one process need not go that way: they wait here, and are woken at once.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import DatabaseError, OperationalError

_turn = threading.Lock()


def _forget_the_parent() -> None:
    """A fork copies the lock as it is, but not the thread that would give it back."""
    global _turn
    _turn = threading.Lock()


os.register_at_fork(after_in_child=_forget_the_parent)


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes its turn with `BEGIN IMMEDIATE` and gives it back when the transaction has ended, however it ended."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn: threading.Lock | None = None  # held while a transaction of this connection is open

    def _start_transaction_under_autocommit(self) -> None:
        turn, patience = _turn, self.settings_dict["OPTIONS"]["timeout"]
        started = time.monotonic()
        if not turn.acquire(timeout=patience):
            raise OperationalError("database is locked by another thread of this process")
        self._turn = turn
        left = patience - (time.monotonic() - started)
        try:
            if left < patience / 2:  # both waits together keep to the timeout, by which a webhook is answered in time
                self.cursor().execute(f"PRAGMA busy_timeout = {int(left * 1000)}")
            super()._start_transaction_under_autocommit()  # type: ignore[misc]  # the stubs do not know it, nor these:
            if left < patience / 2:
                self.cursor().execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
        except DatabaseError:
            self._give_back()
            raise

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self._give_back()  # a commit that fails is rolled back, and gives the turn back then

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._give_back()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._give_back()

    def _give_back(self) -> None:
        if self._turn:
            turn, self._turn = self._turn, None
            turn.release()
