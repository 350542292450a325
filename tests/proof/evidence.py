"""What a run is judged by: the ledger and the messages, what the twin accepted and was answered, and who was killed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from .stage import Run, Stage

Row = dict[str, Any]

TABLES = {
    "messages": """
        SELECT message.*, conversation.state, contact.medium, contact.address
        FROM conversations_message message
        JOIN conversations_conversation conversation ON conversation.id = message.conversation_id
        JOIN conversations_contact contact ON contact.id = conversation.contact_id
        ORDER BY message.conversation_id, message.seq
    """,
    "jobs": "SELECT * FROM queueing_job ORDER BY id",
    "attempts": """
        SELECT attempt.*, job.ordering_key FROM queueing_attempt attempt
        JOIN queueing_job job ON job.id = attempt.job_id ORDER BY attempt.job_id, attempt.number
    """,
    "events": "SELECT * FROM conversations_event ORDER BY id",
}
EVERYONE = "%"
FINISHED = ("succeeded", "dead", "cancelled")
ALL_NEWS = ({"sent", "delivered", "read"}, {"failed"}, {"sent", "undelivered"})  # of a message on WhatsApp


@dataclass(slots=True)
class Evidence:
    """Rows by table, and the twin's journal.

    Attributes:
        messages, jobs, attempts, events: the product's rows.
        accepted: the messages that the twin took from the product, in order.
        written: the messages that contacts wrote.
        exchanges: every request both ways.
        points: what the armed processes passed: (role, life, nth, name).
        killed: where processes were killed: (role, life, nth, side, name, pid).
        stormy: processes were killed and frozen so often that a webhook may have been refused, or have come in vain.
        seconds: how long the run took.
    """

    messages: list[Row]
    jobs: list[Row]
    attempts: list[Row]
    events: list[Row]
    accepted: list[Row] = field(default_factory=list)
    written: list[Row] = field(default_factory=list)
    exchanges: list[Row] = field(default_factory=list)
    points: list[tuple[str, int, int, str]] = field(default_factory=list)
    killed: list[tuple[str, int, int, str, str, int]] = field(default_factory=list)
    stormy: bool = False
    seconds: float = 0.0

    @classmethod
    def gather(cls, stage: Stage, run: Run) -> Evidence:
        """As things are now."""
        evidence = cls.of_ledger(lambda sql: stage.backend.rows(run.installation.database, sql))
        evidence.stormy = run.contact == EVERYONE
        evidence.ask(stage.twin_journal, contact=run.contact)
        evidence.read_points(run.journal)
        return evidence

    @classmethod
    def of_ledger(cls, rows: Callable[[str], list[Row]]) -> Evidence:
        return cls(**{name: [_plain(row) for row in rows(sql)] for name, sql in TABLES.items()})

    def ask(self, journal: Path, *, contact: str) -> None:
        """Take what the twin knows of a contact, or of EVERYONE, from its own file."""
        database = sqlite3.connect(journal, timeout=5)
        database.row_factory = sqlite3.Row
        messages = database.execute(
            "SELECT * FROM message WHERE ? IN (sender, recipient, ?) ORDER BY seq", [contact, EVERYONE]
        )
        for message in map(dict, messages):
            if message["direction"] == "inbound":
                self.written.append(message)
            elif message["direction"] == "outbound-api":
                self.accepted.append(message | _our_ids(message["status_callback"]))
        sids = {message["sid"] for message in (*self.written, *self.accepted)}
        first = min((message["created_at"] for message in (*self.written, *self.accepted)), default=0)
        for row in map(dict, database.execute("SELECT * FROM exchange WHERE at >= ? ORDER BY seq", [first])):
            row["parameters"] = dict(json.loads(row["params"]))
            if row["parameters"].get("MessageSid") in sids:
                self.exchanges.append(row)
        database.close()

    def read_points(self, journal: Path) -> None:
        for line in journal.read_text().splitlines() if journal.exists() else []:
            what, role, life, nth, side, name, pid = line.split("\t")
            if what == "killed":
                self.killed.append((role, int(life), int(nth), side, name, int(pid)))
            elif nth != "None":
                self.points.append((role, int(life), int(nth), name))

    # --- has everything come to its end? ----------------------------------------------------------------------------

    def is_at_rest(self) -> bool:
        """Nothing in the ledger has still to be done."""
        return all(job["status"] in FINISHED for job in self.jobs) and not any(
            message["outcome"] == "waiting" or message["delivery_status"] in ("pending", "sending", "unknown")
            for message in self.messages
        )

    def is_complete(self) -> bool:
        """Nothing is still to happen, inside or outside: what was written has arrived, and all news are out."""
        return (
            self.is_at_rest()
            and bool(self.written)
            and {message["sid"] for message in self.written} <= self.taken
            and self.taken <= {message["external_id"] for message in self.messages}
            and all(self.news_are_out(message) for message in self.accepted)
        )

    def has_calmed(self) -> bool:
        """As `is_complete`, where a webhook may have met with two deaths, and Twilio has given up."""
        return (
            self.is_at_rest()
            and self.taken <= {message["external_id"] for message in self.messages}
            and all(self.news_are_out(message) for message in self.accepted)
        )

    @property
    def taken(self) -> set[str]:
        """The SIDs of inbound messages whose webhook was answered 200, at least once."""
        return {e["parameters"]["MessageSid"] for e in self.exchanges if e["kind"] == "inbound" and e["status"] == 200}

    def news_are_out(self, accepted: Row) -> bool:
        told = {exchange["parameters"]["MessageStatus"] for exchange in self.news_of(accepted["sid"])}
        return any(told >= news for news in ALL_NEWS)

    def news_of(self, sid: str) -> Sequence[Row]:
        """The status callbacks of one message, answered or not."""
        return [e for e in self.exchanges if e["kind"] == "status" and e["parameters"]["MessageSid"] == sid]

    # --- for the checker --------------------------------------------------------------------------------------------

    @property
    def inbound(self) -> list[Row]:
        return [message for message in self.messages if message["direction"] == "inbound"]

    @property
    def outbound(self) -> list[Row]:
        return [message for message in self.messages if message["direction"] == "outbound"]

    def executions_of(self, job_id: int) -> list[Row]:
        return [attempt for attempt in self.attempts if attempt["job_id"] == job_id]


def _our_ids(status_callback: str | None) -> Row:
    """Our own id of a message, and which send of it this is: its callback URL carried them to the twin."""
    our_id, _, resend = parse_qs(urlsplit(status_callback or "").query)["m"][0].partition(".")
    return {"our_id": int(our_id), "resend": int(resend or 0)}


def _plain(row: Row) -> Row:
    """SQLite gives times as text and JSON too."""
    for name in ("started_at", "finished_at", "created_at", "at", "run_after", "scheduled_for"):
        if isinstance(row.get(name), str):
            row[name] = datetime.fromisoformat(row[name])
        if isinstance(row.get(name), datetime):
            row[name] = row[name].replace(tzinfo=None)
    if isinstance(row.get("payload"), str):
        row["payload"] = json.loads(row["payload"])
    return row
