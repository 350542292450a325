"""Operators take a conversation over, answer, give it back, and end it; the assistant never talks over them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from conversations import handoff, lifecycle, operators
from conversations.models import Conversation, Message, Outcome, State

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture
def maria(db: None) -> User:
    return User.objects.create_user("maria")


def the_one() -> Conversation:
    return Conversation.objects.get()


def hand_over() -> None:
    handoff.hand_over(the_one(), actor="assistant", reason="cannot help", now=timezone.now())


def release(by: User) -> None:
    operators.release(the_one().pk, by=by, now=timezone.now())


def sent(other_side: Console) -> list[str]:
    return [message.text for message in other_side.sent]


def test_it_waits_for_a_person_until_it_is_assigned(write: Write, maria: User) -> None:
    write("hello")
    hand_over()
    assert the_one().waiting_since
    operators.assign(the_one().pk, maria, by=maria, now=timezone.now())
    assert the_one().waiting_since is None
    assert the_one().assigned_to == maria


def test_who_replies_takes_over_and_the_assistant_is_silent(
    write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console, maria: User
) -> None:
    assistant.meanwhile.append(lambda: operators.reply(the_one().pk, "Maria here.", by=maria, now=timezone.now()))
    write("hello")
    work()
    assert sent(other_side) == ["Maria here."]
    assert the_one().state == State.HUMAN
    assert the_one().assigned_to == maria
    assert Message.objects.get(author="assistant").delivery_status == "draft"


def test_what_nobody_answered_is_answered_after_the_release_once(
    write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console, maria: User
) -> None:
    write("How much is the cake?")
    hand_over()
    operators.reply(the_one().pk, "Ten.", by=maria, now=timezone.now())
    write("And the bread?")
    work()
    release(maria)
    work()
    assert sent(other_side) == ["Ten.", "answer 1"]
    assert assistant.questions[0].texts == ("And the bread?",)
    assert the_one().state == State.IN_PROGRESS
    assert the_one().assigned_to is None
    assert Message.objects.get(text="How much is the cake?").outcome == Outcome.HUMAN


def test_after_the_last_words_of_a_person_a_release_says_nothing(
    write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console, maria: User
) -> None:
    write("How much is the cake?")
    operators.reply(the_one().pk, "Ten.", by=maria, now=timezone.now())
    release(maria)
    work()
    assert sent(other_side) == ["Ten."]
    write("Thanks!")
    work()
    assert sent(other_side) == ["Ten.", "answer 1"]


def test_an_answer_from_before_the_handoff_does_not_leave_after_the_release(
    write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console, maria: User
) -> None:
    def taken_and_given_back() -> None:
        operators.assign(the_one().pk, maria, by=maria, now=timezone.now())
        release(maria)

    assistant.meanwhile.append(taken_and_given_back)
    write("hello")
    work()
    assert sent(other_side) == ["answer 2"]


def test_only_what_a_person_has_is_given_back(write: Write, maria: User) -> None:
    write("hello")
    with pytest.raises(lifecycle.NotAllowed):
        release(maria)


def test_a_closed_conversation_is_nobody_s(write: Write, work: Work, other_side: Console, maria: User) -> None:
    write("hello")
    operators.close(the_one().pk, by=maria, now=timezone.now())
    assert the_one().state == State.CLOSED_BY_SUPPORT
    assert Message.objects.get().outcome == Outcome.DEAD
    for act in (
        lambda: operators.reply(the_one().pk, "Still there?", by=maria, now=timezone.now()),
        lambda: operators.assign(the_one().pk, maria, by=maria, now=timezone.now()),
        lambda: operators.close(the_one().pk, by=maria, now=timezone.now()),
        lambda: release(maria),
    ):
        with pytest.raises(lifecycle.NotAllowed):
            act()
    work()
    assert not other_side.sent
    operators.note(the_one().pk, "Was a wrong number.", by=maria, now=timezone.now())
    assert the_one().notes.get().author == maria


def test_a_reply_that_comes_too_late_is_kept_and_the_operator_learns_it(
    write: Write, other_side: Console, maria: User
) -> None:
    other_side.window = timedelta(hours=24)
    write("hello", sent_at=timezone.now() - timedelta(hours=25))
    assert operators.reply(the_one().pk, "Sorry for the wait.", by=maria, now=timezone.now()) == []
    assert Message.objects.get(author="agent").delivery_status == "draft"
    assert the_one().assigned_to == maria
