"""Which assistant answers where and when, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

import pytest
from django.conf import settings

from conversations.assistants.choice import choose
from conversations.models import Assistant, BusinessHours, ChannelAccount, Workspace
from tests.stand_ins.openai import OpenAIServer

from .conftest import SECOND
from .console import Console

MONDAY_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MONDAY_NIGHT = datetime(2026, 11, 23, 23, tzinfo=UTC)


def named(account: ChannelAccount, name: str, **fields: Any) -> Assistant:
    return Assistant.objects.create(workspace=account.workspace, name=name, model=f"openai:{name}", **fields)


def test_without_any_the_settings_decide(account: ChannelAccount) -> None:
    choice = choose(account, MONDAY_NOON)
    assert (choice.model, choice.fallback_model, choice.tools) == (settings.AI_MODEL, "", frozenset())


def test_what_an_assistant_leaves_empty_is_as_the_settings_say(account: ChannelAccount) -> None:
    account.assistant = Assistant.objects.create(workspace=account.workspace, name="plain")
    assert choose(account, MONDAY_NOON).model == settings.AI_MODEL


def test_the_address_comes_before_the_workspace(account: ChannelAccount) -> None:
    account.workspace.assistant = named(account, "workspace")
    assert choose(account, MONDAY_NOON).model == "openai:workspace"
    account.assistant = named(account, "address")
    assert choose(account, MONDAY_NOON).model == "openai:address"


@pytest.mark.parametrize(("now", "model"), [(MONDAY_NOON, "openai:day"), (MONDAY_NIGHT, "openai:night")])
def test_another_may_answer_outside_business_hours(account: ChannelAccount, now: datetime, model: str) -> None:
    BusinessHours.objects.create(workspace=account.workspace, weekday=0, opens=time(9), closes=time(18))
    account.assistant = named(account, "day")
    account.workspace.after_hours_assistant = named(account, "night")
    assert choose(account, now).model == model


def test_another_tenants_assistant_answers_nobody_here(account: ChannelAccount) -> None:
    other = Workspace.objects.create(name="Other", slug="other")
    account.assistant = Assistant.objects.create(workspace=other, name="theirs", instructions="Their secret.")
    assert choose(account, MONDAY_NOON).instructions == ""


def test_the_workspaces_instructions_are_for_all(account: ChannelAccount) -> None:
    account.workspace.instructions = "Be kind."
    account.assistant = named(account, "address", instructions="Be brief.")
    assert choose(account, MONDAY_NOON).instructions == "Be kind.\n\nBe brief."


def test_the_model_is_asked_as_the_assistant_is_set(
    account: ChannelAccount,
    write: Callable[..., object],
    work: Callable[[], None],
    openai: OpenAIServer,
    other_side: Console,
) -> None:
    account.assistant = Assistant.objects.create(
        workspace=account.workspace,
        name="set",
        model=SECOND,
        temperature=0.5,
        language="pt-br",
        memory=1,
        tools=["close"],
    )
    account.save()
    write("one"), work()
    write("two"), work()
    body = openai.journal[-1]["body"]
    assert (body["model"], body["temperature"]) == ("gpt-4.1-nano", 0.5)
    assert 'in the language "pt-br"' in body["messages"][0]["content"]
    assert "one" not in [message["content"] for message in body["messages"]]
    assert {tool["function"]["name"] for tool in body["tools"]} == {"hand_off", "close"}
