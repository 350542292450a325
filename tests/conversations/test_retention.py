"""What was closed long ago is deleted; what is younger, open, or another workspace's stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from conversations import lifecycle
from conversations.models import ChannelAccount, Conversation, Media, MediaState, Message, State
from conversations.retention import prune_conversations
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job

from .scripted import ScriptedAssistant


@pytest.fixture
def closed(
    write: Callable[..., Message],
    work: Callable[[], None],
    assistant: ScriptedAssistant,
    account: ChannelAccount,
) -> Callable[[int], Conversation]:
    """A conversation that was answered, and closed so many days ago, in a workspace that keeps them for 30."""
    account.workspace.retention_days = 30
    account.workspace.save()

    def closed(days: int) -> Conversation:
        message = write("hello", sender=f"+1555010{days:04}")
        work()
        conversation = Conversation.objects.get(pk=message.conversation_id)
        then = timezone.now() - timedelta(days=days)
        lifecycle.move(conversation, State.CLOSED_BY_AGENT, actor="someone", reason="done", now=then)
        return conversation

    return closed


def prune() -> None:
    prune_conversations.enqueue()
    run_ready_jobs()


def test_only_what_is_older_goes(closed: Callable[[int], Conversation]) -> None:
    old, young = closed(31), closed(29)
    prune()
    assert list(Conversation.objects.values_list("pk", flat=True)) == [young.pk]
    assert set(Message.objects.values_list("conversation_id", flat=True)) == {young.pk}
    subjects = set(Job.objects.exclude(subject="").values_list("subject", flat=True))
    assert subjects == {f"conversation:{young.pk}"}
    assert old.pk != young.pk


def test_zero_days_keep_it_for_ever(closed: Callable[[int], Conversation], account: ChannelAccount) -> None:
    closed(4000)
    account.workspace.retention_days = 0
    account.workspace.save()
    prune()
    assert Conversation.objects.count() == 1


def test_its_files_go_too(closed: Callable[[int], Conversation]) -> None:
    message = closed(31).messages.first()
    name = default_storage.save("media/old.txt", ContentFile(b"old"))
    Media.objects.create(message=message, position=0, state=MediaState.STORED, file=name, stored_at=timezone.now())
    prune()
    assert not default_storage.exists(name)
    assert not Media.objects.exists()


def test_a_later_conversation_outlives_the_one_before_it(
    closed: Callable[[int], Conversation], write: Callable[..., Message]
) -> None:
    old = closed(31)
    again = write("hello again", sender=old.contact.address).conversation
    assert again.previous == old
    prune()
    again.refresh_from_db()
    assert again.previous is None


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan is SQLite's")
def test_the_old_ones_are_found_by_an_index(closed: Callable[[int], Conversation], account: ChannelAccount) -> None:
    old = Conversation.objects.filter(workspace=account.workspace, closed_at__lt=timezone.now()).order_by("closed_at")
    assert "conversation_closed" in old.explain()
