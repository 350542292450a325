"""The admin's sidebar: the screens by what people do there, each shown to those who may open it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

QUEUE = _("Queue")
GROUPS = (
    (
        _("Inbox"),
        (
            ("conversations.conversation", "forum", _("Conversations")),
            ("conversations.message", "chat", _("Messages")),
            ("conversations.contact", "contacts", _("Contacts")),
        ),
    ),
    (
        QUEUE,
        (
            ("queueing.job", "list_alt", _("Jobs")),
            ("queueing.queue", "view_stream", _("Queues")),
            ("queueing.schedule", "schedule", _("Schedules")),
            ("queueing.worker", "memory", _("Workers")),
        ),
    ),
    (
        _("Settings"),
        (
            ("conversations.workspace", "domain", _("Workspaces")),
            ("conversations.channelaccount", "perm_phone_msg", _("Channel accounts")),
            ("conversations.template", "article", _("Templates")),
            ("conversations.assistant", "smart_toy", _("Assistants")),
            ("conversations.httptool", "http", _("HTTP tools")),
            ("conversations.cannedreply", "quickreply", _("Canned replies")),
            ("conversations.knowledgeentry", "menu_book", _("Knowledge")),
            ("conversations.document", "upload_file", _("Documents")),
            ("conversations.usage", "payments", _("Usage")),
            ("channels_twilio.twilioaccount", "key", _("Twilio accounts")),
            ("channels_twilio.twiliosender", "dialpad", _("Twilio senders")),
            ("channels_twilio.statusevent", "mark_chat_read", _("Status callbacks")),
            ("channels_twilio.quarantinedrequest", "gpp_bad", _("Quarantine")),
        ),
    ),
    (
        _("Users"),
        (
            ("auth.user", "person", _("Users")),
            ("auth.group", "group", _("Groups")),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups and items as unfold takes them."""
    groups: list[dict[str, Any]] = [
        {
            "title": title,
            "separator": True,
            "items": [
                {"title": name, "icon": icon, "link": reverse(f"admin:{model.replace('.', '_')}_changelist")}
                for model, icon, name in items
                if _may_open(request, model)
            ],
        }
        for title, items in GROUPS
    ]
    if settings.RQ_PAGES and request.user.has_perm("django_rq.admin"):
        rings = {"title": _("Rings in Redis"), "icon": "notifications", "link": reverse("django_rq:home")}
        next(group for group in groups if group["title"] == QUEUE)["items"].append(rings)
    return groups


def _may_open(request: HttpRequest, model: str) -> bool:
    app, name = model.split(".")
    return request.user.has_perm(f"{app}.view_{name}") or request.user.has_perm(f"{app}.change_{name}")
