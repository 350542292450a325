"""Who falls silent is asked once whether they are still there, and is told when the conversation ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from conversations.models import ChannelAccount, Contact, Conversation, Event, Message, State
from conversations.silence import BATCH, process_expired, process_idle
from queueing.models import Job

from .console import Console

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture
def quiet(write: Write, account: ChannelAccount) -> Callable[..., Conversation]:
    """A conversation in progress in which nobody has written for so long."""
    account.workspace.nudge = "Are you still there?"
    account.workspace.last_word = "See you."
    account.workspace.save()

    def quiet(**duration: float) -> Conversation:
        write("hello")
        Job.objects.all().delete()  # nobody answers
        Message.objects.update(outcome="human", outcome_reason="test")
        since = timezone.now() - timedelta(**duration)
        Message.objects.update(created_at=since)
        Conversation.objects.update(state=State.IN_PROGRESS, last_message_at=since, last_inbound_at=since)
        return Conversation.objects.get()

    return quiet


def run(task: Any, work: Work) -> None:
    task.enqueue()
    work()


def texts(other_side: Console) -> list[str]:
    return [sent.text for sent in other_side.sent]


def test_one_nudge_is_sent_in_each_silence(
    quiet: Callable[..., Conversation], write: Write, work: Work, other_side: Console
) -> None:
    conversation = quiet(hours=2)
    for _ in range(2):
        run(process_idle, work)
        assert texts(other_side) == ["Are you still there?"]
    conversation.refresh_from_db()
    assert conversation.state == State.IDLE

    Conversation.objects.update(state=State.IN_PROGRESS, last_message_at=timezone.now() - timedelta(hours=2))
    run(process_idle, work)
    assert texts(other_side) == ["Are you still there?"], "the contact has not written since"

    quiet(hours=2)
    Message.objects.filter(author="system").update(created_at=timezone.now() - timedelta(hours=3))
    run(process_idle, work)
    assert texts(other_side) == ["Are you still there?"] * 2, "a new silence"


def test_it_ends_with_a_last_word_and_with_one_only(
    quiet: Callable[..., Conversation], work: Work, other_side: Console
) -> None:
    conversation = quiet(hours=25)
    for _ in range(2):
        run(process_expired, work)
    conversation.refresh_from_db()
    assert conversation.state == State.EXPIRED
    assert texts(other_side) == ["See you."]


@pytest.mark.parametrize("why", ["too late for free text", "opted out", "nothing to say"])
def test_nothing_is_said_to_whom_nothing_may_be_said(
    quiet: Callable[..., Conversation], work: Work, other_side: Console, account: ChannelAccount, why: str
) -> None:
    conversation = quiet(hours=2)
    if why == "too late for free text":
        other_side.window = timedelta(hours=1)
    elif why == "opted out":
        Contact.objects.update(opted_out_at=timezone.now())
    else:
        type(account.workspace).objects.update(nudge="")
    run(process_idle, work)
    conversation.refresh_from_db()
    assert conversation.state == State.IDLE, "no person is bothered with it"
    assert not other_side.sent
    assert Message.objects.count() == 1


@contextmanager
def statements() -> Iterator[list[tuple[str, str]]]:
    """Each statement about conversations or messages, and how the database goes about the first of its kind."""
    found: list[tuple[str, str]] = []
    explained: set[str] = set()
    explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "

    def look(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if sql.startswith("EXPLAIN"):
            return execute(sql, params, many, context)
        kind = sql[:200]
        plan = ""
        if sql.startswith(("SELECT", "UPDATE")) and '"conversations_' in sql and kind not in explained:
            explained.add(kind)
            with connection.cursor() as cursor:
                cursor.execute(explain + sql, params)
                plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        found.append((sql, plan))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        yield found


def test_a_hundred_thousand_quiet_conversations_go_idle_in_small_steps(account: ChannelAccount, work: Work) -> None:
    number = 100_000
    now = timezone.now()
    contacts = Contact.objects.bulk_create(
        [
            Contact(workspace=account.workspace, medium=account.medium, address=f"+1555{n:07}", created_at=now)
            for n in range(number)
        ],
        batch_size=5000,
    )
    quiet, busy = now - timedelta(hours=2), now
    Conversation.objects.bulk_create(
        [
            Conversation(
                workspace=account.workspace,
                channel_account=account,
                contact=contact,
                state=State.IN_PROGRESS,
                opened_at=quiet,
                last_message_at=busy if n % 10 == 0 else quiet,
                last_inbound_at=quiet,
            )
            for n, contact in enumerate(contacts)
        ],
        batch_size=5000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    with statements() as found:
        run(process_idle, work)

    assert Conversation.objects.filter(state=State.IDLE, version=1).count() == number * 9 // 10
    assert Event.objects.count() == number * 9 // 10
    batches = number * 9 // 10 // BATCH + 1
    assert len(found) < 10 * batches + 50
    plans = "\n".join(plan for _, plan in found)
    assert "conversation_quiet" in plans
    for scan in ("SCAN conversations_", "Seq Scan on conversations_conversation", "Seq Scan on conversations_contact"):
        assert scan not in plans, plans
    assert "TEMP B-TREE" not in plans
