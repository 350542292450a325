"""A conversation is given to a person: the assistant is silent then, and what it was about to say becomes a draft."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F

from . import lifecycle
from .models import OPEN_STATES, Conversation, Message, Outcome, State


def hand_over(conversation: Conversation, *, actor: str, reason: str, now: datetime) -> None:
    """Give the conversation, with everything in it that waits for an answer, to a person, or leave it with one.

    The token that every answer must still hold is bumped, so an answer that is being written now cannot leave any more.
    The conversation's row must be locked by the caller's transaction.
    """
    Conversation.objects.filter(pk=conversation.pk).update(handoff_token=F("handoff_token") + 1)
    Message.objects.filter(conversation=conversation, outcome=Outcome.WAITING).update(
        outcome=Outcome.HUMAN, outcome_reason=reason[:300]
    )
    if conversation.state in OPEN_STATES and conversation.state != State.HUMAN:
        lifecycle.move(conversation, State.HUMAN, actor=actor, reason=reason, now=now)
