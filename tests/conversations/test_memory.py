"""What was said long ago is kept in short, once, and goes along into the next conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from conversations import memory
from conversations.lifecycle import move
from conversations.models import Assistant, ChannelAccount, Conversation, Message, State, Usage
from queueing.models import Job, JobStatus
from tests.stand_ins.openai import OpenAIServer

from .console import Console

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture(autouse=True)
def forgetful(account: ChannelAccount, openai: OpenAIServer, other_side: Console) -> None:
    account.assistant = Assistant.objects.create(workspace=account.workspace, name="forgetful", memory=2)
    account.save()
    openai.answer = summarise


def summarise(body: dict[str, Any]) -> dict[str, Any]:
    return {"text": "SUMMARY" if "You keep the memory" in body["messages"][0]["content"] else "Fine."}


def talk(write: Write, work: Work, times: int) -> Conversation:
    for number in range(times):
        write(f"message {number}"), work()
    return Conversation.objects.latest("pk")


def test_a_short_conversation_has_no_summary(write: Write, work: Work) -> None:
    assert talk(write, work, 5).summary == ""


def test_what_is_out_of_sight_is_summarised_and_shown(write: Write, work: Work, openai: OpenAIServer) -> None:
    conversation = talk(write, work, 7)
    assert (conversation.summary, conversation.summarised_seq) == ("SUMMARY", 10)
    assert '"SUMMARY"' in openai.journal[-1]["body"]["messages"][0]["content"]
    (asked,) = [entry["body"] for entry in openai.journal if "You keep" in entry["body"]["messages"][0]["content"]]
    assert "message 4" in asked["messages"][1]["content"]
    assert "message 5" not in asked["messages"][1]["content"]  # the assistant is still shown it
    assert Usage.objects.filter(purpose="summary", settled=True).count() == 1


def test_the_summary_of_the_previous_conversation_goes_along(write: Write, work: Work, openai: OpenAIServer) -> None:
    first = talk(write, work, 2)
    move(first, State.CLOSED_BY_SUPPORT, actor="maria", reason="done", now=timezone.now())
    second = talk(write, work, 2)
    assert second.previous == first
    first.refresh_from_db()
    assert (first.summary, first.summarised_seq) == ("SUMMARY", first.next_seq - 1)
    assert '"SUMMARY"' in openai.journal[-1]["body"]["messages"][0]["content"]


def test_a_run_that_another_was_faster_than_changes_nothing(write: Write, work: Work, openai: OpenAIServer) -> None:
    def be_faster(body: dict[str, Any]) -> dict[str, Any]:
        if "You keep" in body["messages"][0]["content"]:
            Conversation.objects.update(summary="THEIRS", summarised_seq=10)
        return summarise(body)

    openai.answer = be_faster
    assert talk(write, work, 6).summary == "THEIRS"


def test_without_a_budget_there_is_no_summary_and_nothing_fails(
    account: ChannelAccount, write: Write, work: Work, openai: OpenAIServer
) -> None:
    conversation = talk(write, work, 3)
    account.workspace.budget = 0  # type: ignore[assignment]
    account.workspace.save()
    Conversation.objects.update(state=State.EXPIRED)
    memory.summarise_conversation.enqueue(conversation_id=conversation.pk)
    work()
    conversation.refresh_from_db()
    assert conversation.summary == ""
    assert not Job.objects.filter(status=JobStatus.DEAD).exists()
