"""Every screen opens, and the sidebar leads to those that one may open."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from project.navigation import GROUPS

pytestmark = pytest.mark.django_db

SCREENS = [model for _, items in GROUPS for model, _, _ in items]


def sidebar(client: Client) -> list[str]:
    groups = client.get("/admin/").context["sidebar_navigation"]
    return [item["link"] for group in groups for item in group["items"]]


@pytest.mark.parametrize("model", SCREENS)
def test_a_screen_opens_and_searches(admin_client: Client, model: str) -> None:
    screen = f"admin:{model.replace('.', '_')}"

    assert admin_client.get(reverse(f"{screen}_changelist")).status_code == 200
    assert admin_client.get(reverse(f"{screen}_changelist"), {"q": "x"}).status_code == 200
    assert admin_client.get(reverse(f"{screen}_add")).status_code in (200, 403)


def test_no_screen_of_ours_is_missing_in_the_sidebar() -> None:
    ours = [model._meta for model in admin.site._registry if model._meta.app_label != "django_rq"]

    assert {meta.label_lower for meta in ours} == set(SCREENS)


def test_the_sidebar_leads_everywhere(admin_client: Client) -> None:
    assert sidebar(admin_client) == [reverse(f"admin:{model.replace('.', '_')}_changelist") for model in SCREENS]


def test_the_sidebar_leads_nowhere_that_is_closed(client: Client) -> None:
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_conversation"))
    client.force_login(user)

    assert sidebar(client) == ["/admin/conversations/conversation/"]
