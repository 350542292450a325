"""No sender is given more than the provider takes from it: a burst is queued here rather than refused there."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db.models import DateTimeField, F, Q, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext_noop

from queueing.clock import database_now
from queueing.errors import Defer

from .models import ChannelAccount, DeliveryStatus, Message

HORIZON = timedelta(seconds=1)  # a thread waits so long for its turn; who must wait for longer gives the thread back
MAX_AHEAD = 10_000  # messages that are counted, at most


def take_turn(message: Message, on_air: timedelta, *, yields: bool) -> datetime:
    """Reserve the next free moment of the message's sender, and return it: at most `HORIZON` from now.

    Raises Defer when it is further away, for about as long as the messages before it take. A transaction must be open:
    what rolls it back gives the moment back too.

    Args:
        on_air: how long the channel lets the sender be busy with this message; the account's own rate goes first.
        yields: whether older messages that wait go first. Who has waited before does not yield again, so nobody waits
            for ever: neither for those that keep coming, nor for older ones that cannot leave now.
    """
    rate = message.channel_account.messages_per_second
    busy = timedelta(seconds=1 / rate) if rate else on_air
    now = database_now()
    if not busy:
        return now
    ahead = _ahead(message) * busy
    account, moment = ChannelAccount.objects.filter(pk=message.channel_account_id), Value(now, DateTimeField())
    soon = now + HORIZON - (ahead if yields else timedelta(0))
    taken = soon >= now and account.filter(Q(next_send_at=None) | Q(next_send_at__lte=soon)).update(
        next_send_at=Greatest(Coalesce(F("next_send_at"), moment), moment) + busy
    )
    free_at = account.values_list("next_send_at", flat=True).get() or now
    if not taken:
        turn = max(free_at - now, timedelta(0)) + ahead
        raise Defer(gettext_noop("waits for its turn to be sent"), after=max(turn - HORIZON / 2, HORIZON / 10))
    return free_at - busy


def wait_until(moment: datetime) -> None:
    """Rest until then, in a thread that holds no database connection."""
    time.sleep(max((moment - timezone.now()).total_seconds(), 0))


def _ahead(message: Message) -> int:
    """How many messages of the same sender have been waiting for longer."""
    older = Message.objects.filter(
        channel_account=message.channel_account_id, delivery_status=DeliveryStatus.PENDING, pk__lt=message.pk
    )
    return older[:MAX_AHEAD].count()
