"""Who has opted out gets nothing from anybody, until they opt in; the conversation's history says so."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_noop

from .models import Contact, Conversation, Event

OPTED_OUT = gettext_noop("the contact has opted out")
OPTED_IN = gettext_noop("the contact has opted in again")


def opt_out(conversation: Conversation, *, now: datetime) -> None:
    """The contact wants no more messages. Said again, it changes nothing."""
    if Contact.objects.filter(pk=conversation.contact_id, opted_out_at=None).update(opted_out_at=now):
        conversation.contact.opted_out_at = now
        _note(conversation, OPTED_OUT, now)


def opt_in(conversation: Conversation, *, now: datetime) -> None:
    """The contact wants messages again."""
    if Contact.objects.filter(pk=conversation.contact_id).exclude(opted_out_at=None).update(opted_out_at=None):
        conversation.contact.opted_out_at = None
        _note(conversation, OPTED_IN, now)


def _note(conversation: Conversation, reason: str, now: datetime) -> None:
    Event.objects.create(conversation=conversation, at=now, to_state=conversation.state, actor="contact", reason=reason)
