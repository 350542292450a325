"""A message that comes in is stored once, in order, with the job that answers it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from conversations import inbox, lifecycle
from conversations.inbox import InboundMedia, Keyword
from conversations.models import ChannelAccount, Contact, Conversation, Message, Outcome, State
from queueing.models import Job, JobStatus

Write = Callable[..., Message | None]


def test_a_message_its_conversation_its_contact_and_its_job_are_stored_together(write: Write) -> None:
    message = write("Olá, quero agendar", media=(InboundMedia("image/jpeg", "https://example.com/1"),))
    stored = Message.objects.get()
    assert stored == message
    assert (stored.seq, stored.text, stored.outcome) == (1, "Olá, quero agendar", Outcome.WAITING)
    assert stored.conversation.state == State.PENDING
    assert stored.conversation.contact.name == "Ana"
    assert [media.source_url for media in stored.media.all()] == ["https://example.com/1"]
    answering, fetching = Job.objects.order_by("-task")
    assert (answering.task, answering.payload) == ("process_ai_response", {"conversation_id": stored.conversation_id})
    assert (fetching.task, fetching.payload) == ("fetch_media", {"message_id": stored.pk})
    for job in (answering, fetching):
        assert (job.subject, job.correlation_id) == (f"conversation:{stored.conversation_id}", "in-1")


def test_nothing_is_stored_when_the_job_cannot_be(write: Write, account: ChannelAccount) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE queueing_job RENAME TO nowhere")
    try:
        with pytest.raises(DatabaseError, match="queueing_job"):
            write("hello")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE nowhere RENAME TO queueing_job")
    assert not Message.objects.exists()
    assert not Contact.objects.exists()


def test_the_same_message_again_is_nothing_new(write: Write) -> None:
    assert write("hello", external_id="SM1")
    assert write("hello", external_id="SM1") is None
    assert Message.objects.count() == Job.objects.count() == 1
    assert Conversation.objects.get().next_seq == 2


def test_the_same_message_eight_times_at_once_is_stored_once(account: ChannelAccount) -> None:
    start = threading.Barrier(8)
    stored: list[bool] = []

    def deliver() -> None:
        message = inbox.InboundMessage(external_id="SM1", sender="+15550107777", sender_name="Ana", text="hello")
        start.wait()
        stored.append(inbox.receive(message, account=account, now=timezone.now()) is not None)
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stored) == [False] * 7 + [True]
    assert Message.objects.count() == Job.objects.count() == Contact.objects.count() == 1


def test_a_burst_shares_one_waiting_job(write: Write, settings: object) -> None:
    settings.REPLY_DEBOUNCE_SECONDS, settings.REPLY_DEBOUNCE_MAX_SECONDS = 2, 3  # type: ignore[attr-defined]
    write("one")
    first = Job.objects.get()
    write("two")
    write("three")
    job = Job.objects.get()
    assert job.status == JobStatus.SCHEDULED
    assert first.run_after < job.run_after <= first.enqueued_at + timedelta(seconds=3)
    assert list(Message.objects.order_by("pk").values_list("seq", flat=True)) == [1, 2, 3]


def test_stop_suppresses_until_start(write: Write) -> None:
    write("STOP", keyword=Keyword.STOP)
    write("are you there?")
    write("START", keyword=Keyword.START)
    write("hello again")
    assert list(Message.objects.order_by("pk").values_list("outcome", flat=True)) == [
        *[Outcome.SUPPRESSED] * 3,
        Outcome.WAITING,
    ]
    assert Contact.objects.get().opted_out_at is None
    assert Job.objects.count() == 1


def test_a_message_to_a_conversation_with_a_person_waits_for_that_person(write: Write) -> None:
    write("hello")
    conversation = Conversation.objects.get()
    lifecycle.move(conversation, State.HUMAN, actor="test", reason="", now=timezone.now())
    message = write("still there?")
    assert message
    assert message.outcome == Outcome.HUMAN
    assert Job.objects.count() == 1


def test_a_message_resumes_an_idle_conversation(write: Write) -> None:
    write("hello")
    Conversation.objects.update(state=State.IDLE)
    write("again")
    conversation = Conversation.objects.get()
    assert conversation.state == State.IN_PROGRESS
    event = conversation.events.get()
    assert (event.from_state, event.to_state, event.actor) == (State.IDLE, State.IN_PROGRESS, "contact")


def test_a_message_after_the_end_opens_a_conversation_that_is_linked_to_the_last(write: Write) -> None:
    write("hello")
    Conversation.objects.update(state=State.EXPIRED)
    write("hello again")
    first, second = Conversation.objects.order_by("pk")
    assert second.previous == first
    assert second.state == State.PENDING


def test_a_reply_is_linked_to_what_it_quotes_in_an_earlier_conversation_too(write: Write) -> None:
    quoted = write("which day?")
    Conversation.objects.update(state=State.EXPIRED)
    reply = write("that one", quoted=quoted and quoted.external_id)
    assert reply
    assert reply.quoted == quoted


def test_a_reply_is_never_linked_to_another_contact_s_message(write: Write) -> None:
    write("for nobody else", external_id="SM1")
    reply = write("hm", sender="+15550106666", quoted="SM1")
    assert reply
    assert reply.quoted is None


def test_what_a_list_does_not_tell_is_learnt_from_the_webhook_that_comes_late(write: Write) -> None:
    quoted = write("which day?")
    assert quoted
    write("Tuesday", external_id="SM1", sender_name="")
    words = {"kind": "interactive", "details": {"button": {"text": "Tuesday"}}, "raw": {"ButtonText": "Tuesday"}}
    assert write("Tuesday", external_id="SM1", sender_name="Ana Lima", quoted=quoted.external_id, **words) is None
    stored = Message.objects.get(external_id="SM1")
    assert (stored.kind, stored.details, stored.raw) == tuple(words.values())
    assert stored.quoted == quoted
    assert stored.conversation.contact.name == "Ana Lima"
    assert Message.objects.count() == 2


def test_what_a_webhook_told_stays(write: Write) -> None:
    write("here", external_id="SM1", kind="location", raw={"Latitude": "1"})
    write("here", external_id="SM1")
    write("here", external_id="SM1", kind="text", raw={"Body": "forged"})
    stored = Message.objects.get()
    assert (stored.kind, stored.raw) == ("location", {"Latitude": "1"})


def test_a_message_that_came_to_another_address_of_the_workspace_meanwhile_is_the_same(
    write: Write, account: ChannelAccount
) -> None:
    write("hello", external_id="SM1")
    other = ChannelAccount.objects.create(
        workspace=account.workspace, channel="console", medium=account.medium, address="+15550100009"
    )
    message = inbox.InboundMessage(external_id="SM1", sender="+15550107777", sender_name="", text="hello")
    assert inbox.receive(message, account=other, now=timezone.now()) is None


def test_a_message_found_late_opens_no_window_that_has_closed(write: Write) -> None:
    now = timezone.now()
    write("hello", sent_at=now - timedelta(hours=30))
    assert Conversation.objects.get().last_inbound_at == now - timedelta(hours=30)
    write("again", sent_at=now - timedelta(hours=1))
    write("older", sent_at=now - timedelta(hours=2))
    assert Conversation.objects.get().last_inbound_at == now - timedelta(hours=1)


def test_a_start_found_late_does_not_undo_a_later_stop(write: Write) -> None:
    write("STOP", keyword=Keyword.STOP)
    write("START", keyword=Keyword.START, sent_at=timezone.now() - timedelta(minutes=5))
    assert Contact.objects.get().opted_out_at
    write("START", keyword=Keyword.START, sent_at=timezone.now())
    assert Contact.objects.get().opted_out_at is None
