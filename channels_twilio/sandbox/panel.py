"""The faults that the simulator's page offers, in a person's words: each is a rule of a fault script."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

Rule = dict[str, Any]


def _rule(fault: str, operation: str = "", **args: object) -> Rule:
    return {"fault": fault, "match": {"operation": operation} if operation else {}, "args": args}


PANEL = (
    (
        _("We send"),
        (
            (_("Twilio is busy (429)"), _rule("429", "send", retry_after=2)),
            (_("The contact has opted out (21610)"), _rule("error", "send", code=21610)),
            (_("Outside the 24 hours, refused at once (63016)"), _rule("error", "send", code=63016)),
            (_("Server error, not sent"), _rule("500_not_executed", "send")),
            (_("Server error, and yet sent"), _rule("500_executed", "send")),
            (_("Connection drops before the send"), _rule("drop_before_accept", "send")),
            (_("Connection drops after the send"), _rule("drop_after_accept", "send")),
            (_("Connection is reset after the send"), _rule("reset_after_accept", "send")),
            (_("The answer is slow (3 s)"), _rule("delay", "send", seconds=3)),
            (_("The answer never comes"), _rule("delay", "send", seconds=60)),
        ),
    ),
    (
        _("News of what we sent"),
        (
            (_("Status comes before the send is answered"), _rule("callback_early")),
            (_("Status comes late (5 s)"), _rule("callback_late", seconds=5)),
            (_("Statuses come in the wrong order"), _rule("callback_reordered")),
            (_("Each status comes twice"), _rule("callback_duplicated", times=2)),
            (_("No status comes"), _rule("callback_lost")),
            (_("Outside the 24 hours (63016)"), _rule("failed", code=63016)),
            (_("Too many messages on WhatsApp (63018)"), _rule("failed", code=63018)),
            (_("The phone cannot be reached (30003)"), _rule("undelivered", code=30003)),
            (_("The message waits at Twilio (10 s)"), _rule("queued_long", seconds=10)),
        ),
    ),
    (
        _("The contact writes"),
        (
            (_("The webhook comes twice"), _rule("inbound_duplicated", times=2)),
            (_("The webhook comes late (5 s)"), _rule("inbound_late", seconds=5)),
            (_("No webhook comes"), _rule("inbound_lost")),
            (_("The list knows it only later (10 s)"), _rule("list_lags", "list", seconds=10)),
            (_("The file cannot be found yet (404)"), _rule("error", "media", code=20404, status=404)),
            (_("No typing indicator"), _rule("500_not_executed", "typing")),
        ),
    ),
)

TEXTS = {
    "saved": _("These faults are on."),
    "no_faults": _("No faults."),
    "parameters": _("Parameters"),
    "headers": _("Headers"),
    "answer": pgettext_lazy("HTTP", "Response"),
    "no_answer": _("no response"),
    "to_us": _("Twilio asks us"),
    "to_twilio": _("We ask Twilio"),
    "fault": _("fault"),
}
