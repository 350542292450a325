"""A paused address resumes by one click; a template that the provider would refuse is not kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conversations import pausing
from conversations.models import ChannelAccount, Message, Template

from .console import Console
from .scripted import ScriptedAssistant

PAGE = "admin:conversations_channelaccount_change"


def detail_action(client: Client, account: ChannelAccount) -> str:
    """Where the button of an account's page leads; empty where there is none."""
    url = reverse("admin:conversations_channelaccount_resume", args=[account.pk])
    return url if url in client.get(reverse(PAGE, args=[account.pk])).content.decode() else ""


def test_a_paused_address_says_why_and_sends_again_by_one_click(
    write: Callable[..., Message],
    work: Callable[[], None],
    account: ChannelAccount,
    assistant: ScriptedAssistant,
    other_side: Console,
    admin_client: Client,
) -> None:
    assert not detail_action(admin_client, account)
    pausing.pause(account.pk, reason="20003: Authenticate", now=timezone.now())
    write("hello")
    html = admin_client.get(reverse(PAGE, args=[account.pk])).content.decode()
    assert "20003: Authenticate" in html
    url = detail_action(admin_client, account)
    response = admin_client.post(url, {"_form_submitted": "on"})
    assert response["HX-Redirect"] == reverse(PAGE, args=[account.pk])
    account.refresh_from_db()
    assert (account.paused_at, account.paused_reason) == (None, "")
    work()
    assert [message.text for message in other_side.sent] == ["answer 1"]


@pytest.mark.parametrize(
    ("body", "variables", "error"),
    [
        ("Hi {{1}}, your order {{2}} is ready", '{"1": "contact_name", "2": "42"}', ""),
        ("Hi", "{}", ""),
        ("Hi {{1}}, your order {{ 2 }} is ready", '{"1": "contact_name"}', "Without a value: 2"),
        ("Hi {{1}}", '{"1": "contact_name", "3": "x"}', "Not in the text: 3"),
        ("Hi {{1}}", '["contact_name"]', "Write "),
        ("Hi {{1}}", '{"1": 7}', "Write "),
    ],
)
def test_the_variables_of_a_template_fit_its_text(
    account: ChannelAccount, admin_client: Client, body: str, variables: str, error: str
) -> None:
    form: dict[str, Any] = {"workspace": account.workspace_id, "name": "ready", "language": "en", "external_id": "HX1"}
    response = admin_client.post(
        reverse("admin:conversations_template_add"), form | {"body": body, "variables": variables}
    )
    if error:
        assert response.context["adminform"].form.errors["variables"][0].startswith(error)
    assert Template.objects.exists() == (not error)
