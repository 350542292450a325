"""What Twilio knows: every message it accepted, every request both ways. A SQLite file of the twin's own."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .records import SCHEMA, SCHEMA_VERSION, Contact, Media, Message


class Journal:
    """One connection for all threads: each method is one transaction under one lock, which is enough for a stand-in."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        if self._connection.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
            for (table,) in self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                if not table.startswith("sqlite_"):
                    self._connection.execute(f"DROP TABLE {table}")
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        # Committed rows survive the process's death, which is all that is asked of a stand-in; so no fsync for each.
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + SCHEMA)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _read(self, sql: str, *args: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(sql, args).fetchall()

    # --- messages ---------------------------------------------------------------------------------------------------
    def add_message(
        self,
        *,
        sid: str,
        direction: str,
        sender: str,
        recipient: str,
        body: str,
        status: str,
        messaging_service_sid: str | None = None,
        status_callback: str | None = None,
        validity: float | None = None,
        free: bool = True,
        media_urls: Sequence[str] = (),
        media: Sequence[Media] = (),
        ticks: str = "",
    ) -> Message:
        """Accept a message, with its media. Raises sqlite3.IntegrityError when the SID is taken."""
        now = time.time()
        row = {
            "sid": sid,
            "direction": direction,
            "sender": sender,
            "recipient": recipient,
            "body": body,
            "status": status,
            "messaging_service_sid": messaging_service_sid,
            "status_callback": status_callback,
            "validity": validity,
            "free": free,
            "media_urls": json.dumps(list(media_urls)),
            "num_media": len(media_urls) + len(media),
            "created_at": now,
            "updated_at": now,
            "sent_at": now if direction == "inbound" else None,
            "ticks": ticks,
        }
        with self._transaction() as connection:
            connection.execute(
                f"INSERT INTO message ({', '.join(row)}, change) "  # noqa: S608  (the names above)
                f"VALUES ({', '.join(f':{name}' for name in row)}, (SELECT coalesce(max(change), 0) + 1 FROM message))",
                row,
            )
            connection.executemany(
                "INSERT INTO media VALUES (?, ?, ?, ?, ?)",
                [(item.sid, item.message_sid, item.content_type, item.content, item.created_at) for item in media],
            )
            if direction != "inbound":
                connection.execute("DELETE FROM typing WHERE contact = ?", [recipient])
        return self.message(sid)

    def message(self, sid: str) -> Message:
        """Raises KeyError when there is none."""
        rows = self._read("SELECT * FROM message WHERE sid = ?", sid)
        if not rows:
            raise KeyError(sid)
        return Message(**dict(rows[0]))

    def set_status(self, sid: str, status: str, *, error_code: int | None = None) -> None:
        now = time.time()
        self._change(
            "status = ?, error_code = ?, sent_at = coalesce(sent_at, ?), updated_at = ?",
            (status, error_code, now, now),
            "sid = ?",
            (sid,),
        )

    def set_ticks(self, sid: str, ticks: str) -> None:
        """What the contact sees of their own message; `read` is never taken back."""
        self._change("ticks = ?", (ticks,), "sid = ? AND ticks != 'read'", (sid,))

    def _change(self, assignment: str, values: tuple[object, ...], condition: str, args: tuple[object, ...]) -> None:
        with self._transaction() as connection:
            connection.execute(
                f"UPDATE message SET {assignment}, change = (SELECT max(change) + 1 FROM message) WHERE {condition}",  # noqa: S608
                (*values, *args),
            )

    def count_of(self, contact: str) -> int:
        """How many messages to and from a contact's address there are."""
        [row] = self._read("SELECT count(*) AS n FROM message WHERE sender = ? OR recipient = ?", contact, contact)
        return int(row["n"])

    def last_written(self, contact: str, sender: str) -> float:
        """When the contact wrote last to that address of ours; 0 for never."""
        sql = "SELECT max(created_at) AS at FROM message WHERE sender = ? AND recipient = ?"
        [row] = self._read(sql, contact, sender)
        return float(row["at"] or 0)

    def messages(
        self,
        conditions: Sequence[tuple[str, object]] = (),
        *,
        newest_first: bool = False,
        limit: int = -1,
        offset: int = 0,
    ) -> list[Message]:
        """Those that fulfil every condition, such as `("seq < ?", 7)`, in order of acceptance."""
        where = " AND ".join(condition for condition, _ in conditions) or "1"
        order = "DESC" if newest_first else "ASC"
        rows = self._read(
            f"SELECT * FROM message WHERE {where} ORDER BY seq {order} LIMIT ? OFFSET ?",  # noqa: S608  (conditions are ours)
            *(value for _, value in conditions),
            limit,
            offset,
        )
        return [Message(**dict(row)) for row in rows]

    def unfinished(self) -> list[Message]:
        """Sent messages whose way may go on."""
        rows = self._read(
            "SELECT * FROM message WHERE direction != 'inbound' "
            "AND status IN ('accepted', 'queued', 'sent', 'delivered') ORDER BY seq"
        )
        return [Message(**dict(row)) for row in rows]

    def thread(self, contact: str, *, since: int) -> list[Message]:
        """The messages to and from a contact's address that changed after the change `since`."""
        rows = self._read(
            "SELECT * FROM message WHERE change > ? AND (sender = ? OR recipient = ?) ORDER BY seq",
            since,
            contact,
            contact,
        )
        return [Message(**dict(row)) for row in rows]

    # --- media ------------------------------------------------------------------------------------------------------
    def media(self, sid: str) -> Media:
        """Raises KeyError when there is none."""
        rows = self._read("SELECT * FROM media WHERE sid = ?", sid)
        if not rows:
            raise KeyError(sid)
        return Media(**dict(rows[0]))

    def media_of(self, message_sid: str) -> list[Media]:
        rows = self._read("SELECT * FROM media WHERE message_sid = ? ORDER BY rowid", message_sid)
        return [Media(**dict(row)) for row in rows]

    def delete_message(self, sid: str) -> None:
        """Also from the phone, which is a real one's difference: there is no other place to keep it."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM message WHERE sid = ?", [sid])

    def delete_media(self, sid: str) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM media WHERE sid = ?", [sid])

    # --- contacts ---------------------------------------------------------------------------------------------------
    def put_contact(self, number: str, name: str) -> None:
        """Make a contact, or rename one; an empty name leaves the old one."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO contact VALUES (?1, ?2, ?3) "
                "ON CONFLICT (number) DO UPDATE SET name = CASE ?2 WHEN '' THEN name ELSE ?2 END",
                [number, name, time.time()],
            )

    def contact(self, number: str) -> Contact:
        """Raises KeyError when there is none."""
        rows = self._read("SELECT * FROM contact WHERE number = ?", number)
        if not rows:
            raise KeyError(number)
        return Contact(**dict(rows[0]))

    def contacts(self) -> list[Contact]:
        return [Contact(**dict(row)) for row in self._read("SELECT * FROM contact ORDER BY created_at")]

    def set_opted_out(self, contact: str, sender: str, opted_out: bool) -> bool:
        """Whether that changed anything."""
        sql = (
            "INSERT OR IGNORE INTO opt_out VALUES (?, ?)"
            if opted_out
            else "DELETE FROM opt_out WHERE contact = ? AND sender = ?"
        )
        with self._transaction() as connection:
            return connection.execute(sql, [contact, sender]).rowcount > 0

    def senders_opted_out_of(self, contact: str) -> set[str]:
        return {row["sender"] for row in self._read("SELECT sender FROM opt_out WHERE contact = ?", contact)}

    def show_typing(self, contact: str, *, seconds: float) -> None:
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO typing VALUES (?, ?)", [contact, time.time() + seconds])

    def is_typing(self, contact: str) -> bool:
        return bool(self._read("SELECT 1 FROM typing WHERE contact = ? AND until > ?", contact, time.time()))

    # --- requests both ways -----------------------------------------------------------------------------------------
    def add_exchange(
        self,
        *,
        kind: str,
        method: str,
        url: str,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        status: int | None,
        response: str = "",
        error: str = "",
        fault: str | None = None,
        idempotency_token: str | None = None,
        seconds: float,
    ) -> None:
        row = {
            "at": time.time(),
            "kind": kind,
            "method": method,
            "url": url,
            "params": json.dumps(params),
            "headers": json.dumps(headers),
            "idempotency_token": idempotency_token,
            "status": status,
            "response": response,
            "error": error,
            "fault": fault,
            "seconds": seconds,
        }
        with self._transaction() as connection:
            connection.execute(
                f"INSERT INTO exchange ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})",  # noqa: S608
                row,
            )

    def exchanges(self, *, since: int = 0, last: int = -1) -> list[dict[str, Any]]:
        """In their order, of those after `since` only so many of the last (-1: all)."""
        rows = self._read("SELECT * FROM exchange WHERE seq > ? ORDER BY seq DESC LIMIT ?", since, last)
        return [
            {**dict(row), "params": json.loads(row["params"]), "headers": json.loads(row["headers"])}
            for row in reversed(rows)
        ]
