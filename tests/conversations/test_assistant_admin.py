"""What can be set about assistants and their tools, and what is refused before a contact meets it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from conversations.models import Assistant, HttpTool, Usage, Workspace

pytestmark = pytest.mark.django_db

ADMIN = "/admin/conversations/"
SECRET = "Bearer canary"


@pytest.fixture
def workspace(db: None) -> Workspace:
    return Workspace.objects.create(name="Padaria", slug="padaria")


def add(client: Client, model: str, **fields: Any) -> str:
    """What the page says of a form that is sent; empty when it was taken."""
    response = client.post(f"{ADMIN}{model}/add/", fields)
    return "" if response.status_code == 302 else response.content.decode()


def assistant(workspace: Workspace, **fields: Any) -> dict[str, Any]:
    return {"workspace": workspace.pk, "name": "able", "tools": "[]", "memory": 20} | fields


def tool(workspace: Workspace, **fields: Any) -> dict[str, Any]:
    given = {"name": "stock", "description": "What is left.", "method": "GET", "url": "https://shop.example/"}
    return {"workspace": workspace.pk, "schema": '{"type": "object"}', "authorization": SECRET} | given | fields


def test_an_assistant_may_use_the_products_tools_and_the_workspaces(workspace: Workspace, admin_client: Client) -> None:
    assert add(admin_client, "httptool", **tool(workspace)) == ""
    assert add(admin_client, "assistant", **assistant(workspace, tools='["remember", "stock"]')) == ""
    assert Assistant.objects.get().tools == ["remember", "stock"]


def test_a_tool_of_another_workspace_is_none(workspace: Workspace, admin_client: Client) -> None:
    other = Workspace.objects.create(name="Other", slug="other")
    add(admin_client, "httptool", **tool(other))
    assert "There is no tool stock" in add(admin_client, "assistant", **assistant(workspace, tools='["stock"]'))


@pytest.mark.parametrize("model", ["gpt-5", "nobody:model", "groq:llama"])
def test_a_model_that_cannot_be_asked_is_refused(
    workspace: Workspace, admin_client: Client, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    assert "There is no model" in add(admin_client, "assistant", **assistant(workspace, fallback_model=model))


@pytest.mark.parametrize(
    "fields", [{"url": "http://shop.example/"}, {"schema": '{"type": "string"}'}, {"name": "hand_off"}], ids=str
)
def test_a_tool_that_could_not_be_asked_is_refused(
    workspace: Workspace, admin_client: Client, fields: dict[str, Any]
) -> None:
    assert add(admin_client, "httptool", **tool(workspace, **fields))
    assert not HttpTool.objects.exists()


def test_the_authorization_is_never_shown_and_stays_when_it_is_left_empty(
    workspace: Workspace, admin_client: Client
) -> None:
    add(admin_client, "httptool", **tool(workspace))
    page = f"{ADMIN}httptool/{HttpTool.objects.get().pk}/change/"
    assert SECRET not in admin_client.get(page).content.decode()
    admin_client.post(page, tool(workspace, authorization="", description="Changed."))
    row = HttpTool.objects.get()
    assert (row.description, row.authorization) == ("Changed.", SECRET)


def test_usage_says_what_is_reserved_and_where_no_price_is_known(workspace: Workspace, admin_client: Client) -> None:
    row = {"workspace": workspace, "purpose": "answer", "at": timezone.now()}
    Usage.objects.create(model="openai:gpt-5", cost=Decimal("0.25"), **row)
    Usage.objects.create(model="ollama:llama3.2", cost=Decimal(0), input_tokens=5, settled=True, **row)
    page = admin_client.get(f"{ADMIN}usage/").content.decode()
    assert "reserved: 0.25" in page
    assert "no price known" in page
