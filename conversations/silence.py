"""Conversations in which nobody writes any more: they go idle, with a nudge, and expire, with a last word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet, prefetch_related_objects
from django.utils import timezone
from django.utils.translation import gettext_noop

from queueing.context import JobContext
from queueing.periodic import periodic
from queueing.tasks import task

from . import lifecycle, outbox, window
from .models import Author, Conversation, Message, State

EVERY = timedelta(seconds=settings.SCHEDULER_INTERVAL_SECONDS)
BATCH = 200  # conversations that change in one transaction

Words = Callable[[list[Conversation]], dict[int, str]]


@periodic(every=EVERY)
@task(takes_context=True, queue_name="maintenance")
def process_idle(context: JobContext) -> None:
    """Conversations in progress that have been quiet for `CONVERSATION_IDLE_MINUTES` go idle, with one nudge."""
    now = timezone.now()
    quiet = _quiet(State.IN_PROGRESS, settings.CONVERSATION_IDLE_MINUTES, now)
    _move_all(context, quiet, State.IDLE, reason=gettext_noop("quiet"), words=_nudges, now=now)


@periodic(every=EVERY)
@task(takes_context=True, queue_name="maintenance")
def process_expired(context: JobContext) -> None:
    """Conversations that have been quiet for too long are closed; one that a person has to answer never is."""
    now = timezone.now()
    for state, minutes in (
        (State.IN_PROGRESS, settings.CONVERSATION_EXPIRY_MINUTES),
        (State.IDLE, settings.CONVERSATION_EXPIRY_MINUTES),
        (State.PENDING, settings.CONVERSATION_PENDING_EXPIRY_MINUTES),
    ):
        reason = gettext_noop("nobody wrote any more")
        _move_all(context, _quiet(state, minutes, now), State.EXPIRED, reason=reason, words=_last_words, now=now)


def _quiet(state: State, minutes: int, now: datetime) -> QuerySet[Conversation]:
    # SQLite uses the partial index only where the query repeats its condition.
    by_index = Conversation.objects.filter(closed_at=None)
    return by_index.filter(state=state, last_message_at__lte=now - timedelta(minutes=minutes))


def _nudges(conversations: list[Conversation]) -> dict[int, str]:
    """By conversation: once in a silence, so not where something of the product's was the last that was said."""
    wanted = {conversation.pk: nudge for conversation in conversations if (nudge := conversation.workspace.nudge)}
    if not wanted:
        return {}
    said = Message.objects.filter(
        conversation__in=wanted, author=Author.SYSTEM, created_at__gte=F("conversation__last_inbound_at")
    )
    already = set(said.values_list("conversation_id", flat=True))
    return {pk: nudge for pk, nudge in wanted.items() if pk not in already}


def _last_words(conversations: list[Conversation]) -> dict[int, str]:
    """By conversation: it expires once, so this is said once."""
    return {conversation.pk: conversation.workspace.last_word for conversation in conversations}


def _move_all(
    context: JobContext, conversations: QuerySet[Conversation], to: State, *, reason: str, words: Words, now: datetime
) -> None:
    """Move them in batches, the longest quiet first. Running it twice, or two at once, moves each conversation once.

    Args:
        words: what is said to the contacts of a batch, where that may still be said for free.
    """
    while True:
        context.checkpoint()
        with transaction.atomic():
            batch = list(
                conversations.order_by("last_message_at")
                .prefetch_related("workspace")  # a join would not be read in this order
                .select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)[:BATCH]
            )
            _say(words(batch), batch, now)
            lifecycle.move_all(batch, to, actor="system", reason=reason, now=now)
        if len(batch) < BATCH:
            return


def _say(words: dict[int, str], batch: list[Conversation], now: datetime) -> None:
    """Nobody is worth a template, or a person's time, only to be asked whether they are still there."""
    spoken_to = [conversation for conversation in batch if words.get(conversation.pk)]
    prefetch_related_objects(spoken_to, "contact", "channel_account")
    for conversation in spoken_to:
        if not conversation.contact.opted_out_at and not window.is_closed(conversation, now):
            outbox.send(conversation, words[conversation.pk], author=Author.SYSTEM, now=now)
