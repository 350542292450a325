"""What waits for an answer gets one: once, for all of it, and not when someone else was faster."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from conversations import handoff
from conversations.assistants import AssistantError, AssistantUnavailable, Reply
from conversations.inbox import Keyword
from conversations.models import Author, Conversation, DeliveryStatus, Message, Outcome, State
from queueing.models import Job, JobStatus

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]


def outcomes() -> list[str]:
    return list(Message.objects.filter(direction="inbound").order_by("seq").values_list("outcome", flat=True))


def test_a_burst_gets_one_answer(write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant) -> None:
    write("hello"), write("are you open"), write("on saturday?")
    work()
    assert [question.texts for question in assistant.questions] == [("hello", "are you open", "on saturday?")]
    assert [message.text for message in other_side.sent] == ["answer 1"]
    assert outcomes() == [Outcome.MERGED, Outcome.MERGED, Outcome.ANSWERED]
    answer = Message.objects.get(author=Author.ASSISTANT)
    assert answer.answered_messages.count() == 3
    assert answer.delivery_status == DeliveryStatus.QUEUED
    conversation = Conversation.objects.get()
    assert (conversation.state, conversation.answered_seq) == (State.IN_PROGRESS, 3)
    assert other_side.typing == ["in-3"]


def test_the_assistant_is_shown_what_was_said_before(write: Write, work: Work, assistant: ScriptedAssistant) -> None:
    write("hello")
    work()
    write("and now?")
    work()
    assert [(turn.author, turn.text) for turn in assistant.questions[1].history] == [
        ("contact", "hello"),
        ("assistant", "answer 1"),
    ]


def test_a_message_that_comes_while_the_assistant_thinks_is_covered_by_one_answer(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    assistant.meanwhile = [lambda: write("one more thing"), lambda: write("and another")]
    write("hello")
    work()
    assert [question.texts for question in assistant.questions] == [
        ("hello",),
        ("hello", "one more thing"),  # superseded once; what comes during this one is answered by itself
        ("and another",),
    ]
    assert [message.text for message in other_side.sent] == ["answer 2", "answer 3"]
    assert Message.objects.get(delivery_status=DeliveryStatus.DRAFT).text == "answer 1"
    assert outcomes() == [Outcome.MERGED, Outcome.ANSWERED, Outcome.ANSWERED]


def test_an_answer_that_a_person_overtook_becomes_a_private_draft(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    def take_over() -> None:
        with transaction.atomic():
            conversation = Conversation.objects.select_for_update().get()
            handoff.hand_over(conversation, actor="maria", reason="took over", now=timezone.now())

    assistant.meanwhile = [take_over]
    write("hello")
    work()
    assert other_side.sent == []
    assert Message.objects.get(author=Author.ASSISTANT).delivery_status == DeliveryStatus.DRAFT
    assert outcomes() == [Outcome.HUMAN]
    assert Conversation.objects.get().state == State.HUMAN


def test_nothing_is_sent_after_a_stop_that_came_while_the_assistant_thought(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    assistant.meanwhile = [lambda: write("STOP", keyword=Keyword.STOP)]
    write("hello")
    work()
    assert other_side.sent == []
    assert outcomes() == [Outcome.SUPPRESSED, Outcome.SUPPRESSED]


def test_an_assistant_that_is_away_is_asked_again(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    assistant.replies = [AssistantUnavailable("overloaded"), AssistantUnavailable("overloaded")]
    write("hello")
    work()
    assert [message.text for message in other_side.sent] == ["answer 3"]
    assert Job.objects.get(task="process_ai_response").failures == 2


def test_an_assistant_that_cannot_answer_is_followed_by_a_person(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    assistant.replies = [AssistantError("the content filter refused")]
    write("hello")
    work()
    assert Job.objects.get(task="process_ai_response").status == JobStatus.DEAD
    assert len(other_side.sent) == 1
    assert Message.objects.get(direction="outbound").author == Author.SYSTEM
    assert outcomes() == [Outcome.HUMAN]
    event = Conversation.objects.get().events.get()
    assert (event.to_state, event.actor) == (State.HUMAN, "system")


def test_the_assistant_can_ask_for_a_person(write: Write, work: Work, assistant: ScriptedAssistant) -> None:
    assistant.replies = [Reply("I will fetch someone.", handoff=True, handoff_reason="asked for a person")]
    write("a human please")
    work()
    assert Conversation.objects.get().state == State.HUMAN
    assert outcomes() == [Outcome.ANSWERED]


def test_a_long_answer_leaves_in_parts_and_in_order(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    assistant.replies = [Reply(" ".join(f"Sentence number {n}." for n in range(30)))]
    write("tell me everything")
    work()
    assert len(other_side.sent) > 1
    assert all(len(message.text) <= 200 for message in other_side.sent)
    assert [message.message_id for message in other_side.sent] == sorted(m.message_id for m in other_side.sent)
