"""What operators do with a conversation. Each step takes it as it is stored now, locked until the commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext_noop

from . import handoff, lifecycle, outbox
from .models import OPEN_STATES, Author, Conversation, Message, Note, Outcome, State
from .responder import answer_later


def assign(conversation_id: int, to: AbstractBaseUser, *, by: AbstractBaseUser, now: datetime) -> None:
    """Give the conversation to one person, who takes it over from the assistant. It waits for nobody any more.

    Raises lifecycle.NotAllowed when it is closed.
    """
    with _locked(conversation_id) as conversation:
        _assign(conversation, to, by=by, now=now)


def reply(conversation_id: int, text: str, *, by: AbstractBaseUser, now: datetime) -> list[Message]:
    """Write to the contact. Who replies takes over.

    Raises lifecycle.NotAllowed when it is closed. Returns what leaves: nothing where the contact wrote too long ago for
    free text and the workspace has no template; the text is kept as a draft then.
    """
    with _locked(conversation_id) as conversation:
        _assign(conversation, by, by=by, now=now)
        return outbox.send(conversation, text, author=Author.AGENT, now=now)


def note(conversation_id: int, text: str, *, by: AbstractBaseUser, now: datetime) -> None:
    """Tell the colleagues something about the conversation, closed or not."""
    Note.objects.create(conversation_id=conversation_id, author_id=by.pk, text=text, at=now)


def release(conversation_id: int, *, by: AbstractBaseUser, now: datetime) -> None:
    """Give the conversation back to the assistant, which answers what no person has answered.

    That is all that came after the last words of a person, also before the handoff. It may be handed over again then;
    that is no loop, since each round takes a person who gives it back. The token stays what it is: an answer that was
    being written before the handoff does not leave now.

    Raises lifecycle.NotAllowed when no person has it.
    """
    with _locked(conversation_id) as conversation:
        if conversation.state != State.HUMAN:
            raise lifecycle.NotAllowed(f"conversation {conversation.pk} is not with a person")
        reason = gettext_noop("given back to the assistant")
        lifecycle.move(conversation, State.IN_PROGRESS, actor=by.get_username(), reason=reason, now=now)
        Conversation.objects.filter(pk=conversation.pk).update(assigned_to=None)
        unanswered = conversation.messages.filter(outcome=Outcome.HUMAN)
        if last := conversation.messages.filter(author=Author.AGENT).order_by("-seq").first():
            unanswered = unanswered.filter(seq__gt=last.seq)
        if unanswered.update(outcome=Outcome.WAITING, outcome_reason=""):
            answer_later(conversation)


def close(conversation_id: int, *, by: AbstractBaseUser, now: datetime) -> None:
    """End the conversation; the contact's next message opens a new one.

    Raises lifecycle.NotAllowed when it is closed already for a reason that is as strong.
    """
    with _locked(conversation_id) as conversation:
        reason = gettext_noop("closed by an operator")
        lifecycle.move(conversation, State.CLOSED_BY_SUPPORT, actor=by.get_username(), reason=reason, now=now)


@contextmanager
def _locked(conversation_id: int) -> Iterator[Conversation]:
    with transaction.atomic():
        conversations = Conversation.objects.select_for_update(of=("self",))
        yield conversations.select_related("contact", "channel_account", "workspace").get(pk=conversation_id)


def _assign(conversation: Conversation, to: AbstractBaseUser, *, by: AbstractBaseUser, now: datetime) -> None:
    if conversation.state not in OPEN_STATES:
        raise lifecycle.NotAllowed(f"conversation {conversation.pk} is closed")
    handoff.hand_over(conversation, actor=by.get_username(), reason=gettext_noop("taken over"), now=now)
    Conversation.objects.filter(pk=conversation.pk).update(assigned_to=to.pk, waiting_since=None)
