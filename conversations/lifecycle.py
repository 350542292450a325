"""The only writer of a conversation's state: one table of transitions, a line of history for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_noop

from .models import Conversation, Event, Message, Outcome, State

# The weakest first: what is closed may only be closed anew by a stronger reason, and never opened again.
CLOSING = (State.EXPIRED, State.CLOSED_BY_AGENT, State.CLOSED_BY_SUPPORT, State.CLOSED_BY_CONTACT, State.FAILED)
CLOSED = frozenset(CLOSING)

ALLOWED: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.IN_PROGRESS, State.HUMAN}) | CLOSED,
    State.IN_PROGRESS: frozenset({State.IDLE, State.HUMAN}) | CLOSED,
    State.HUMAN: frozenset({State.IN_PROGRESS}) | CLOSED,
    State.IDLE: frozenset({State.IN_PROGRESS, State.HUMAN}) | CLOSED,
} | {state: frozenset(CLOSING[strength:]) for strength, state in enumerate(CLOSING, start=1)}

# What becomes of a message that nobody has answered when its conversation is closed.
ENDED_BY_CONTACT = gettext_noop("the contact ended the conversation")
UNANSWERED = {State.CLOSED_BY_CONTACT: (Outcome.SUPPRESSED, ENDED_BY_CONTACT)}
UNANSWERED_OTHERWISE = (Outcome.DEAD, gettext_noop("the conversation was closed"))


class NotAllowed(Exception):
    """The conversation cannot go from its state to that one."""


class Changed(Exception):
    """Someone else moved the conversation meanwhile: look again."""


def move(conversation: Conversation, to: State, *, actor: str, reason: str, now: datetime) -> None:
    """Move one conversation, with a line of history.

    Args:
        actor: who does it: `contact`, `assistant`, `system` or an operator's name.

    Raises NotAllowed, or Changed when `conversation` is not the version that is stored; nothing is written then.
    """
    move_all([conversation], to, actor=actor, reason=reason, now=now)


def move_all(conversations: Sequence[Conversation], to: State, *, actor: str, reason: str, now: datetime) -> None:
    """Move all of them, or none: see `move`. It costs as many statements as for one."""
    for conversation in conversations:
        if to not in ALLOWED[State(conversation.state)]:
            raise NotAllowed(f"conversation {conversation.pk}: {conversation.state} to {to}")
    with transaction.atomic():
        _write(conversations, to, now)
        Event.objects.bulk_create(
            Event(
                conversation_id=conversation.pk,
                at=now,
                from_state=conversation.state,
                to_state=to,
                actor=actor,
                reason=reason[:300],
            )
            for conversation in conversations
        )
        if to in CLOSED:
            outcome, why = UNANSWERED.get(to, UNANSWERED_OTHERWISE)
            waiting = Message.objects.filter(conversation__in=conversations, outcome=Outcome.WAITING)
            waiting.update(outcome=outcome, outcome_reason=why)
    for conversation in conversations:
        conversation.state, conversation.version = to, conversation.version + 1


def _write(conversations: Sequence[Conversation], to: State, now: datetime) -> None:
    """The new state, for those that are still the version that we hold."""
    by_version: dict[int, list[int]] = {}
    for conversation in conversations:
        by_version.setdefault(conversation.version, []).append(conversation.pk)
    for version, pks in by_version.items():
        moved = Conversation.objects.filter(pk__in=pks, version=version).update(
            state=to,
            version=F("version") + 1,
            closed_at=Coalesce(F("closed_at"), Value(now)) if to in CLOSED else None,
            waiting_since=now if to == State.HUMAN else None,
        )
        if moved < len(pks):
            raise Changed(f"{len(pks) - moved} of {pks} are past version {version}")
