"""Who has opted out gets nothing from anybody until they opt in again, and the conversation says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import transaction
from django.utils import timezone

from conversations import outbox, pausing
from conversations.channels import NotSent, Remedy
from conversations.inbox import Keyword
from conversations.models import (
    Author,
    ChannelAccount,
    Contact,
    Conversation,
    DeliveryStatus,
    Event,
    Message,
    Outcome,
    Template,
)
from conversations.responder import give_up_answering
from conversations.suppression import OPTED_IN, OPTED_OUT
from queueing.backends.immediate import run_ready_jobs

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture(autouse=True)
def _an_assistant(assistant: ScriptedAssistant) -> None:
    """Every message here is answered."""


def said() -> list[str]:
    return list(Event.objects.filter(actor="contact", from_state="").values_list("reason", flat=True))


def write_to_them(author: Author) -> list[Message]:
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update().get()
        return outbox.send(conversation, "please read", author=author, now=timezone.now())


@pytest.mark.parametrize("author", [Author.AGENT, Author.SYSTEM, Author.ASSISTANT])
def test_nobody_reaches_them_and_the_transcript_shows_what_was_not_sent(
    write: Write, work: Work, other_side: Console, author: Author
) -> None:
    write("STOP", keyword=Keyword.STOP)
    [message] = write_to_them(author)
    work()
    assert other_side.sent == []
    assert (message.delivery_status, message.error_reason) == (DeliveryStatus.SUPPRESSED, OPTED_OUT)


def test_no_template_reaches_them(write: Write, work: Work, other_side: Console, account: ChannelAccount) -> None:
    template = Template.objects.create(workspace=account.workspace, name="x", external_id="HX1", body="Hello")
    write("STOP", keyword=Keyword.STOP)
    with transaction.atomic():
        outbox.send_template(Conversation.objects.get(), template, author=Author.SYSTEM, now=timezone.now())
    work()
    assert other_side.sent == []


def test_no_apology_reaches_them(write: Write, work: Work, other_side: Console) -> None:
    write("hello")
    Contact.objects.update(opted_out_at=timezone.now())
    give_up_answering.handler(Conversation.objects.get().pk)
    work()
    assert other_side.sent == []


def test_what_waits_to_be_sent_when_they_stop_stays_here(
    write: Write, account: ChannelAccount, other_side: Console
) -> None:
    pausing.pause(account.pk, reason="a test", now=timezone.now())
    write("hello")
    run_ready_jobs()
    write("STOP", keyword=Keyword.STOP)
    pausing.resume(account, actor="a test", now=timezone.now())
    run_ready_jobs()
    assert other_side.sent == []
    waiting = Message.objects.get(direction="outbound")
    assert (waiting.delivery_status, waiting.error_reason) == (DeliveryStatus.SUPPRESSED, OPTED_OUT)


def test_the_history_tells_it_once_each_way(write: Write, work: Work) -> None:
    for keyword in (Keyword.STOP, Keyword.STOP, Keyword.START, Keyword.START, Keyword.STOP):
        write(keyword.value, keyword=keyword)
    assert said() == [OPTED_OUT, OPTED_IN, OPTED_OUT]


def test_after_a_start_they_are_answered_again(write: Write, work: Work, other_side: Console) -> None:
    write("STOP", keyword=Keyword.STOP)
    assert write("hello?").outcome == Outcome.SUPPRESSED
    write("START", keyword=Keyword.START)
    write("hello!")
    work()
    assert [sent.text for sent in other_side.sent] == ["answer 1"]


def test_the_provider_s_word_counts_and_is_told(write: Write, work: Work, other_side: Console) -> None:
    other_side.raises = [NotSent("21610", "stopped", Remedy.OPT_OUT)]
    write("hello")
    work()
    assert said() == [OPTED_OUT]
    assert write("hello?").outcome == Outcome.SUPPRESSED
    work()
    assert other_side.sent == []
