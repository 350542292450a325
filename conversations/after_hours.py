"""Outside business hours a contact who would wait for a person is told so, once until one of us writes again."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_noop

from . import handoff, hours, outbox, window
from .channels import get_channel
from .models import Author, Conversation, State, Workspace
from .splitting import split_text

REASON = gettext_noop("outside business hours")


def has_a_word(workspace: Workspace, now: datetime) -> bool:
    """Whether a contact who would wait for a person now is told something else than that one will come."""
    return bool(workspace.after_hours_message) and not hours.is_open(workspace, now)


def take_over(conversation: Conversation, *, now: datetime) -> None:
    """What nobody answers outside business hours goes to a person, who finds it in the morning; the contact is told.

    That is so where the workspace has a message for those hours and no assistant for them: name the usual assistant
    there as well, and it answers day and night. The conversation's row must be locked.
    """
    workspace = conversation.workspace
    if not has_a_word(workspace, now):
        return
    if conversation.state != State.HUMAN and workspace.after_hours_assistant_id is None:
        handoff.hand_over(conversation, actor="system", reason=REASON, now=now)
    tell(conversation, now=now)


def tell(conversation: Conversation, *, now: datetime) -> None:
    """Send the workspace's message for these hours to a contact whose conversation is with a person.

    Nothing is sent inside business hours, twice in one silence of ours, or where only a template may be sent. The
    conversation's row must be locked.
    """
    text = conversation.workspace.after_hours_message
    if conversation.state != State.HUMAN or not has_a_word(conversation.workspace, now):
        return
    if not window.is_closed(conversation, now) and not _was_told(conversation, text):
        outbox.send(conversation, text, author=Author.SYSTEM, now=now)


def _was_told(conversation: Conversation, text: str) -> bool:
    parts = split_text(text, get_channel(conversation.channel_account.channel).max_text_length)
    ours = conversation.messages.filter(author__in=(Author.ASSISTANT, Author.AGENT, Author.SYSTEM))
    last = ours.exclude(delivery_status="draft").order_by("-seq").first()
    return last is not None and last.author == Author.SYSTEM and last.text in parts
