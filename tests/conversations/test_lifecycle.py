"""Quiet conversations go idle and expire; each move leaves a line of history, and none happens twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from conversations import lifecycle, silence
from conversations.models import Conversation, Message, Outcome, State
from conversations.silence import process_expired, process_idle
from queueing.models import Job

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture
def conversation(write: Write) -> Conversation:
    write("hello")
    Job.objects.all().delete()  # nobody answers
    return Conversation.objects.get()


def quiet_for(conversation: Conversation, state: State, **duration: float) -> None:
    since = timezone.now() - timedelta(**duration)
    Conversation.objects.filter(pk=conversation.pk).update(state=state, last_message_at=since)


@pytest.mark.parametrize(
    ("state", "minutes", "becomes"),
    [
        (State.IN_PROGRESS, 61, State.IDLE),
        (State.IN_PROGRESS, 59, State.IN_PROGRESS),
        (State.IN_PROGRESS, 1441, State.EXPIRED),
        (State.IDLE, 1441, State.EXPIRED),
        (State.IDLE, 1439, State.IDLE),
        (State.PENDING, 1441, State.PENDING),
        (State.PENDING, 2881, State.EXPIRED),
        (State.HUMAN, 10_000, State.HUMAN),
    ],
)
def test_a_quiet_conversation_goes_where_its_time_says(
    conversation: Conversation, work: Work, state: State, minutes: int, becomes: State
) -> None:
    quiet_for(conversation, state, minutes=minutes)
    process_expired.enqueue()
    process_idle.enqueue()
    work()
    conversation.refresh_from_db()
    assert conversation.state == becomes
    moves = list(conversation.events.values_list("from_state", "to_state", "actor"))
    assert moves == ([(state, becomes, "system")] if state != becomes else [])
    assert (conversation.closed_at is not None) == (becomes == State.EXPIRED)


def test_a_message_that_nobody_answered_is_accounted_for_when_its_conversation_expires(
    conversation: Conversation, work: Work
) -> None:
    quiet_for(conversation, State.PENDING, minutes=2881)
    process_expired.enqueue()
    work()
    assert Message.objects.get().outcome == Outcome.DEAD
    assert "closed" in Message.objects.get().outcome_reason


def test_more_than_one_batch_is_moved_and_running_again_changes_nothing(
    write: Write, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "BATCH", 2)
    for number in range(5):
        write("hello", sender=f"+1555010777{number}")
    Job.objects.all().delete()
    Conversation.objects.update(state=State.IN_PROGRESS, last_message_at=timezone.now() - timedelta(hours=2))
    for _ in range(2):
        process_idle.enqueue()
        work()
    assert set(Conversation.objects.values_list("state", "version")) == {(State.IDLE, 1)}


def test_a_move_that_the_table_does_not_allow_is_refused(conversation: Conversation) -> None:
    lifecycle.move(conversation, State.EXPIRED, actor="test", reason="", now=timezone.now())
    with pytest.raises(lifecycle.NotAllowed):
        lifecycle.move(conversation, State.IN_PROGRESS, actor="test", reason="", now=timezone.now())


def test_of_two_that_move_the_same_conversation_one_wins(conversation: Conversation) -> None:
    stale = Conversation.objects.get()
    lifecycle.move(conversation, State.HUMAN, actor="maria", reason="", now=timezone.now())
    with pytest.raises(lifecycle.Changed):
        lifecycle.move(stale, State.EXPIRED, actor="system", reason="", now=timezone.now())
    assert conversation.events.count() == 1


@pytest.mark.parametrize("first", lifecycle.CLOSING)
@pytest.mark.parametrize("second", lifecycle.CLOSING)
def test_what_is_closed_is_closed_anew_only_for_a_stronger_reason(
    conversation: Conversation, first: State, second: State
) -> None:
    order = ["expired", "closed_by_agent", "closed_by_support", "closed_by_contact", "failed"]
    earlier, later = timezone.now() - timedelta(hours=1), timezone.now()
    lifecycle.move(conversation, first, actor="test", reason="", now=earlier)
    stronger = order.index(second) > order.index(first)
    if stronger:
        lifecycle.move(conversation, second, actor="test", reason="", now=later)
    else:
        with pytest.raises(lifecycle.NotAllowed):
            lifecycle.move(conversation, second, actor="test", reason="", now=later)
    conversation.refresh_from_db()
    assert conversation.state == (second if stronger else first)
    assert conversation.closed_at == earlier, "it was over then"
