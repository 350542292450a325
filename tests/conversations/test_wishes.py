"""A contact ends the conversation, or asks for a person, with a phrase that the workspace lists."""

from __future__ import annotations

from collections.abc import Callable

from conversations.audit import Audit
from conversations.inbox import InboundMedia
from conversations.models import ChannelAccount, Conversation, Message, Outcome, State
from queueing.models import Job

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]


def outcomes() -> list[tuple[str, str]]:
    return list(Message.objects.filter(direction="inbound").order_by("pk").values_list("text", "outcome"))


def test_a_goodbye_closes_and_nobody_answers_it(
    write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console
) -> None:
    write("How much is the cake?")
    write("Tchau! 👋")
    work()
    conversation = Conversation.objects.get()
    assert conversation.state == State.CLOSED_BY_CONTACT
    assert conversation.closed_at
    assert outcomes() == [("How much is the cake?", Outcome.SUPPRESSED), ("Tchau! 👋", Outcome.SUPPRESSED)]
    assert all(Message.objects.values_list("outcome_reason", flat=True))
    assert not other_side.sent
    audit = Audit()
    list(audit.run())
    assert not audit.unaccounted


def test_thanks_alone_ends_nothing_unless_the_workspace_says_so(write: Write, account: ChannelAccount) -> None:
    write("Obrigado!")
    assert Conversation.objects.get().state == State.PENDING
    account.workspace.closing_words = "obrigado"
    account.workspace.save()
    write("Obrigado!")
    assert Conversation.objects.get().state == State.CLOSED_BY_CONTACT


def test_a_picture_with_such_a_word_below_is_more_than_the_word(write: Write) -> None:
    write("tchau", media=(InboundMedia("image/png", "https://files.example.com/1"),))
    assert Conversation.objects.get().state == State.PENDING


def test_who_writes_again_gets_a_conversation_that_is_linked_to_the_last(write: Write) -> None:
    write("bye")
    write("One more thing")
    first, second = Conversation.objects.order_by("pk")
    assert second.previous == first
    assert second.state == State.PENDING


def test_an_answer_that_is_under_way_at_the_goodbye_does_not_leave(
    write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console
) -> None:
    assistant.meanwhile.append(lambda: write("bye"))
    write("How much is the cake?")
    work()
    assert not other_side.sent
    assert Message.objects.filter(delivery_status="draft").exists()


def test_a_person_is_asked_for_by_a_phrase(write: Write, work: Work, other_side: Console) -> None:
    write("How much is the cake?")
    write("Atendente, por favor")
    assert Conversation.objects.get().state == State.PENDING, "it is more than the word"
    write("ATENDENTE")
    conversation = Conversation.objects.get()
    assert conversation.state == State.HUMAN
    assert conversation.waiting_since
    assert set(dict(outcomes()).values()) == {Outcome.HUMAN}
    assert list(conversation.events.values_list("actor", "reason")) == [("contact", "asked for a person")]


def test_who_has_opted_out_may_end_it_but_is_told_nothing(
    write: Write, account: ChannelAccount, other_side: Console, work: Work
) -> None:
    account.workspace.last_word = "See you."
    account.workspace.save()
    write("hello")
    conversation = Conversation.objects.get()
    Job.objects.all().delete()
    type(conversation.contact).objects.update(opted_out_at=conversation.opened_at)
    write("atendente")
    assert Conversation.objects.get().state == State.PENDING
    write("tchau")
    work()
    assert Conversation.objects.get().state == State.CLOSED_BY_CONTACT
    assert not other_side.sent
