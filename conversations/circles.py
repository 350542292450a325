"""Two machines that answer each other are stopped: after so many answers without a pause a person looks."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Max
from django.utils.translation import gettext_noop

from .models import Author, Conversation, DeliveryStatus, Event, Message, State

REASON = gettext_noop("too many answers without a pause: is it a machine?")
SPAN = timedelta(minutes=10)


def goes_in_circles(conversation: Conversation, now: datetime) -> bool:
    """Whether the assistant has answered this contact `Workspace.longest_exchange` times within `SPAN`.

    Conversations that were closed meanwhile count; what was before a person had it does not: they have let it go on.
    """
    recent = Event.objects.filter(
        conversation__contact=conversation.contact_id, to_state=State.HUMAN, at__gt=now - SPAN
    ).aggregate(last=Max("at"))
    answers = Message.objects.filter(
        conversation__contact=conversation.contact_id,
        author=Author.ASSISTANT,
        part=0,
        created_at__gt=recent["last"] or now - SPAN,
    ).exclude(delivery_status=DeliveryStatus.DRAFT)
    return answers.count() >= conversation.workspace.longest_exchange
