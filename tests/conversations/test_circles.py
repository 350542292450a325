"""Two machines that answer each other come to an end, and a person hears of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conversations.circles import SPAN
from conversations.models import ChannelAccount, Conversation, Message, State, Workspace

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture(autouse=True)
def five_at_most(account: ChannelAccount, assistant: ScriptedAssistant) -> None:
    Workspace.objects.update(longest_exchange=5)


def test_a_machine_that_echoes_gets_so_many_answers_and_no_more(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    write("hello"), work()
    for _ in range(20):
        write(other_side.sent[-1].text), work()
    assert len(assistant.questions) == 5
    assert len(other_side.sent) == 6  # with the word that a person will go on
    conversation = Conversation.objects.get()
    assert conversation.state == State.HUMAN
    assert "machine" in conversation.events.last().reason  # type: ignore[union-attr]


def test_who_writes_no_faster_than_people_do_is_answered(
    write: Write, work: Work, assistant: ScriptedAssistant
) -> None:
    for _ in range(7):
        write("hello"), work()
        for message in Message.objects.all():
            Message.objects.filter(pk=message.pk).update(created_at=message.created_at - SPAN / 4)
    assert len(assistant.questions) == 7


def test_after_a_person_has_had_a_look_it_goes_on(
    write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console
) -> None:
    for _ in range(6):
        write("hello"), work()
    assert len(assistant.questions) == 5
    Conversation.objects.update(state=State.IN_PROGRESS)
    write("hello"), work()
    assert len(assistant.questions) == 6
