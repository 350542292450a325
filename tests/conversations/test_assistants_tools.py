"""What a model may do besides talking: for its own contact and tenant, and only if its answer counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from conversations import handoff
from conversations.models import (
    Assistant,
    ChannelAccount,
    Conversation,
    DeliveryStatus,
    Fact,
    KnowledgeEntry,
    Message,
    State,
    Workspace,
)
from queueing.models import Job
from tests.stand_ins.openai import OpenAIServer

from .console import Console

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture(autouse=True)
def able(account: ChannelAccount, openai: OpenAIServer) -> None:
    account.assistant = Assistant.objects.create(
        workspace=account.workspace, name="able", tools=["search_knowledge", "close", "remember"]
    )
    account.save()


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "arguments": arguments}


def test_it_looks_things_up_in_its_own_tenants_knowledge_alone(
    account: ChannelAccount, write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    other = Workspace.objects.create(name="Other", slug="other")
    KnowledgeEntry.objects.create(workspace=account.workspace, title="Bread", body="Rye costs 5.")
    KnowledgeEntry.objects.create(workspace=other, title="Bread", body="Theirs costs 9.")
    openai.script(call("search_knowledge", query="bread", workspace_id=other.pk), {"text": "Five."})
    write("how much?"), work()
    told = openai.journal[1]["body"]["messages"][-1]
    assert (told["role"], told["content"]) == ("tool", '[{"title": "Bread", "text": "Rye costs 5."}]')
    assert [sent.text for sent in other_side.sent] == ["Five."]


def test_facts_are_kept_for_the_contact_and_shown_again(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    openai.script(call("remember", name="diet", value="vegan") | {"text": "Noted!"})
    write("I am vegan"), work()
    assert Fact.objects.values_list("contact__address", "name", "value").get() == ("+15550107777", "diet", "vegan")
    write("what can I eat?"), work()
    assert '"diet": "vegan"' in openai.journal[-1]["body"]["messages"][0]["content"]
    assert other_side.sent[0].text == "Noted!"


def test_it_says_goodbye_and_closes(write: Write, work: Work, openai: OpenAIServer, other_side: Console) -> None:
    openai.script(call("close") | {"text": "Goodbye!"})
    write("that was all, see you"), work()
    assert [sent.text for sent in other_side.sent] == ["Goodbye!"]
    assert Conversation.objects.get().state == State.CLOSED_BY_AGENT


def test_an_answer_that_a_person_overtook_changes_nothing_else(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    def take_over_meanwhile(body: dict[str, Any]) -> dict[str, Any]:
        with transaction.atomic():
            conversation = Conversation.objects.select_for_update().get()
            handoff.hand_over(conversation, actor="maria", reason="took over", now=timezone.now())
        return call("close") | call("remember", name="diet", value="vegan") | {"text": "Bye"}

    openai.answer = take_over_meanwhile
    write("hello"), work()
    assert other_side.sent == []
    assert Message.objects.get(author="assistant").delivery_status == DeliveryStatus.DRAFT
    assert Conversation.objects.get().state == State.HUMAN
    assert not Fact.objects.exists()


@pytest.mark.parametrize("name", ["hand_off_all", "delete_contact", "search_knowledge "])
def test_a_tool_that_was_not_offered_is_not_run(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console, name: str
) -> None:
    openai.script(call(name))
    write("hello"), work()
    assert Conversation.objects.get().state == State.HUMAN  # an answer without words and without a tool is none
    assert len(openai.journal) == 1


def test_a_model_that_calls_tools_for_ever_is_stopped(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    openai.answer = lambda body: call("search_knowledge", query="bread")
    write("hello"), work()
    assert len(openai.journal) == 5
    assert Job.objects.get(task="process_ai_response").failures == 1
    assert Conversation.objects.get().state == State.HUMAN
