"""What models cost is on the account before they are asked, and no workspace spends more than it has set."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from conversations import budget, usage
from conversations.assistants import OverBudget
from conversations.models import Author, ChannelAccount, Conversation, Message, State, Usage, Workspace
from tests.stand_ins.openai import OpenAIServer

from .conftest import FIRST
from .console import Console

Write = Callable[..., Message]
Work = Callable[[], None]


@pytest.fixture
def workspace(transactional_db: None) -> Workspace:
    return Workspace.objects.create(name="Padaria", slug="padaria", budget=Decimal("1.00"))


def cost(workspace: Workspace, dollars: str, at: datetime) -> Usage:
    return Usage.objects.create(workspace=workspace, purpose="answer", model=FIRST, cost=Decimal(dollars), at=at)


def test_an_answer_has_its_tokens_and_its_price(
    account: ChannelAccount, write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    write("hello"), work()
    row = Usage.objects.get()
    assert (row.settled, row.input_tokens, row.output_tokens) == (True, 11, 7)
    price = usage.price(FIRST, input_tokens=11, output_tokens=7)
    assert price
    assert row.cost == round(price, 6) > 0
    assert (row.message, row.conversation) == (Message.objects.get(author=Author.ASSISTANT), Conversation.objects.get())


def test_what_a_call_may_cost_is_reserved_while_it_runs(
    account: ChannelAccount, write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    reserved: list[tuple[bool, Decimal]] = []

    def look(body: dict[str, Any]) -> dict[str, Any]:
        reserved.extend(Usage.objects.values_list("settled", "cost"))
        connection.close()
        return {"text": "Hello!"}

    openai.answer = look
    write("hello"), work()
    [(settled, cost)] = reserved
    assert not settled
    assert cost > Usage.objects.get().cost


def test_a_call_that_the_provider_refused_costs_nothing(
    account: ChannelAccount, write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    openai.script({"status": 429}, {"text": "Hello!"})
    write("hello"), work()
    refused, answered = Usage.objects.order_by("pk")
    assert (refused.settled, refused.cost) == (True, 0)
    assert answered.cost > 0


def test_without_a_budget_left_no_model_is_asked_and_a_person_goes_on(
    account: ChannelAccount, write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    Workspace.objects.update(budget=Decimal("0.00"))
    write("hello"), work()
    assert openai.journal == []
    assert [sent.text[:5] for sent in other_side.sent] == ["Sorry"]
    conversation = Conversation.objects.get()
    assert conversation.state == State.HUMAN
    assert "budget" in conversation.events.get().reason


def test_many_calls_at_once_do_not_pass_the_budget(workspace: Workspace) -> None:
    each = usage.price(FIRST, input_tokens=100_000, output_tokens=0)
    assert each
    workspace.budget = (each * Decimal("3.5")).quantize(Decimal("0.01"))
    workspace.save()
    fit, together, told = workspace.budget // each, threading.Barrier(8), []

    def reserve() -> None:
        together.wait()
        try:
            usage.Ledger(workspace.pk, None, "answer").reserve(FIRST, input_tokens=100_000, output_tokens=0)
            told.append("reserved")
        except OverBudget:
            told.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["refused"] * (8 - int(fit)) + ["reserved"] * int(fit)
    assert budget.spent(workspace, timezone.now()) <= workspace.budget


def test_a_month_begins_by_the_workspaces_clock(workspace: Workspace) -> None:
    workspace.time_zone = "America/Sao_Paulo"
    cost(workspace, "0.25", datetime(2026, 11, 1, 2, 59, tzinfo=UTC))  # 23:59 in October
    cost(workspace, "0.50", datetime(2026, 11, 1, 3, 0, tzinfo=UTC))
    assert budget.spent(workspace, datetime(2026, 11, 23, tzinfo=UTC)) == Decimal("0.50")
    assert budget.spent(workspace, datetime(2026, 11, 1, 2, tzinfo=UTC)) == Decimal("0.75")


def test_another_workspaces_costs_do_not_count(workspace: Workspace) -> None:
    cost(Workspace.objects.create(name="Other", slug="other"), "5.00", timezone.now())
    assert budget.allows(workspace, Decimal("1.00"), timezone.now())
    assert not budget.allows(workspace, Decimal("1.01"), timezone.now())


def test_a_call_that_nobody_settles_is_taken_to_have_cost_what_was_reserved(workspace: Workspace, work: Work) -> None:
    dead = cost(workspace, "0.25", timezone.now() - timedelta(minutes=16))
    running = cost(workspace, "0.25", timezone.now())
    usage.settle_abandoned.enqueue()
    work()
    dead.refresh_from_db(), running.refresh_from_db()
    assert (dead.settled, dead.cost) == (True, Decimal("0.25"))
    assert not running.settled


def test_a_model_without_a_price_costs_nothing_that_is_known() -> None:
    assert usage.price("ollama:llama3.2", input_tokens=10, output_tokens=10) is None
