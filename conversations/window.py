"""How long free text may be sent to a contact after their last message, where the channel has such a window."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext_noop

from .channels import get_channel
from .models import Conversation

CLOSED = gettext_noop("the contact wrote too long ago for free text")

# A send may take this long to reach the provider, and must be inside the window there.
MARGIN = timedelta(seconds=15)

# The soonest to close goes first where there is a backlog: job priorities, by what is left of the window. Fresh
# conversations, and channels without a window, have priority 0; among equals the oldest job goes first.
URGENCY = (
    (timedelta(minutes=15), 40),
    (timedelta(hours=1), 30),
    (timedelta(hours=4), 20),
    (timedelta(hours=12), 10),
)


def time_left(conversation: Conversation, now: datetime) -> timedelta | None:
    """How much longer free text may leave for the contact; zero when it may not. None: there is no such limit."""
    account = conversation.channel_account
    length = get_channel(account.channel).reply_window(account.medium)
    if length is None:
        return None
    if conversation.last_inbound_at is None:
        return timedelta(0)
    return max(conversation.last_inbound_at + length - MARGIN - now, timedelta(0))


def is_closed(conversation: Conversation, now: datetime) -> bool:
    """Whether only a template, or nothing, may be sent to the contact."""
    return time_left(conversation, now) == timedelta(0)


def priority(conversation: Conversation, now: datetime) -> int:
    """Of a job that answers the conversation. A window that has closed is no longer urgent: a template can wait."""
    left = time_left(conversation, now)
    if not left:
        return 0
    return next((urgency for longest, urgency in URGENCY if left <= longest), 0)
