"""The only writer of a conversation's state: one table of transitions, a line of history for each."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from queueing.context import JobContext
from queueing.periodic import periodic
from queueing.tasks import task

from .models import OPEN_STATES, Conversation, Event, Message, Outcome, State

CLOSED = frozenset(State) - frozenset(OPEN_STATES)

ALLOWED: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.IN_PROGRESS, State.HUMAN}) | CLOSED,
    State.IN_PROGRESS: frozenset({State.IDLE, State.HUMAN}) | CLOSED,
    State.HUMAN: frozenset({State.IN_PROGRESS}) | CLOSED,
    State.IDLE: frozenset({State.IN_PROGRESS, State.HUMAN}) | CLOSED,
} | dict.fromkeys(CLOSED, frozenset[State]())

EVERY = timedelta(seconds=settings.SCHEDULER_INTERVAL_SECONDS)
BATCH = 500  # conversations that change in one transaction


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
    if to not in ALLOWED[State(conversation.state)]:
        raise NotAllowed(f"conversation {conversation.pk}: {conversation.state} to {to}")
    before = conversation.state
    with transaction.atomic():
        row = Conversation.objects.filter(pk=conversation.pk, version=conversation.version)
        if not row.update(state=to, version=F("version") + 1, closed_at=now if to in CLOSED else None):
            raise Changed(f"conversation {conversation.pk} is past version {conversation.version}")
        Event.objects.create(
            conversation=conversation, at=now, from_state=before, to_state=to, actor=actor, reason=reason[:300]
        )
    conversation.state, conversation.version = to, conversation.version + 1


@periodic(every=EVERY)
@task(takes_context=True, queue_name="maintenance")
def process_idle(context: JobContext) -> None:
    """Conversations in progress that have been quiet for `CONVERSATION_IDLE_MINUTES` go idle."""
    now = timezone.now()
    quiet = Conversation.objects.filter(
        state=State.IN_PROGRESS, last_message_at__lte=now - timedelta(minutes=settings.CONVERSATION_IDLE_MINUTES)
    )
    _move_all(context, quiet, State.IDLE, reason=gettext_noop("quiet"), now=now)


@periodic(every=EVERY)
@task(takes_context=True, queue_name="maintenance")
def process_expired(context: JobContext) -> None:
    """Conversations that have been quiet for too long are closed; one that a person has to answer never is."""
    now = timezone.now()
    for states, minutes in (
        ((State.IN_PROGRESS, State.IDLE), settings.CONVERSATION_EXPIRY_MINUTES),
        ((State.PENDING,), settings.CONVERSATION_PENDING_EXPIRY_MINUTES),
    ):
        for state in states:
            expired = Conversation.objects.filter(state=state, last_message_at__lte=now - timedelta(minutes=minutes))
            _move_all(context, expired, State.EXPIRED, reason=gettext_noop("nobody wrote any more"), now=now)


def _move_all(
    context: JobContext, conversations: QuerySet[Conversation], to: State, *, reason: str, now: datetime
) -> None:
    """Move them in batches, the longest quiet first. Running it twice, or two at once, moves each conversation once."""
    while True:
        context.checkpoint()
        with transaction.atomic():
            batch = conversations.order_by("last_message_at").select_for_update(
                skip_locked=connection.features.has_select_for_update_skip_locked
            )[:BATCH]
            moved = {conversation.pk: conversation.state for conversation in batch.only("pk", "state")}
            Conversation.objects.filter(pk__in=moved).update(
                state=to, version=F("version") + 1, closed_at=now if to in CLOSED else None
            )
            Event.objects.bulk_create(
                Event(conversation_id=pk, at=now, from_state=state, to_state=to, actor="system", reason=reason)
                for pk, state in moved.items()
            )
            if to in CLOSED:
                Message.objects.filter(conversation__in=moved, outcome=Outcome.WAITING).update(
                    outcome=Outcome.DEAD, outcome_reason=gettext_noop("the conversation was closed")
                )
        if len(moved) < BATCH:
            return
