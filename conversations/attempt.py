"""One attempt to send a message: its intent is stored before the request leaves, so nothing is blindly sent twice."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext_noop

from queueing.context import JobContext
from queueing.errors import Defer, Retry

from . import delivery, media_links, pacing, window
from .channels import Channel, NotSent, OutcomeUnknown, OutgoingMessage, Remedy, SendLater, get_channel
from .models import DeliveryStatus, Message
from .suppression import OPTED_OUT

SEND_TIMEOUT_SECONDS = 10.0

# When a send of unknown outcome is looked up at the provider, from its intent on. After the last look, policy decides.
LOOKUPS = (timedelta(seconds=15), timedelta(minutes=2), timedelta(minutes=10))


PATIENCE = timedelta(hours=24)  # with a provider that takes a message only later, and later again
AFTER_PATIENCE = timedelta(minutes=5)  # at least, from one attempt to the next


def send(context: JobContext, message: Message, *, resend: int) -> None:
    """Send the message once, and complete the job.

    Args:
        resend: which send of the message this is; 0 is the first.

    Raises NotSent when it was certainly not sent, and Retry or Defer when that is to be tried, or looked up, later.
    """
    left = _may_leave(message)
    channel, outgoing = get_channel(message.channel_account.channel), _outgoing(message, resend, valid_for=left)
    prepared = _prepare(channel, outgoing)
    try:
        with context.fenced():
            turn = pacing.take_turn(message, channel.time_on_air(outgoing), yields=context.job.attempt == 1)
            begun = delivery.begin(message, resend=resend, now=timezone.now())
        if not begun:
            return  # the last send has arrived after all
        with context.outside() as seconds:
            pacing.wait_until(turn)
            receipt = channel.send(outgoing, prepared, timeout=min(seconds, SEND_TIMEOUT_SECONDS))
    except SendLater as error:
        with context.fenced():
            delivery.settle(message.pk, DeliveryStatus.PENDING, sending_since=None)
        raise _wait(error, since=message.created_at) from error
    except OutcomeUnknown as error:
        with context.fenced():
            delivery.settle(message.pk, DeliveryStatus.UNKNOWN, error_reason=str(error)[:300])
        raise Defer(gettext_noop("the outcome of the send is not known"), after=LOOKUPS[0]) from error
    with context.complete():
        delivery.record_sent(message.pk, receipt)


def look_up(context: JobContext, message: Message) -> bool:
    """Ask the provider whether the message was sent. A callback that carries our id may have settled it before.

    Returns False when it will never be known; else the job is complete. Raises Defer where there will be another look.
    """
    channel, outgoing = get_channel(message.channel_account.channel), _outgoing(message, message.resends)
    since = message.sending_since or message.created_at
    taken = frozenset(
        Message.objects.filter(
            conversation__contact=message.conversation.contact, created_at__gte=since - timedelta(days=1)
        )
        .exclude(external_id="")
        .values_list("external_id", flat=True)
    ).union(delivery.earlier_ids(message))
    prepared = _prepare(channel, outgoing)
    try:
        with context.outside() as seconds:
            receipt = channel.find(
                outgoing, prepared, since=since, taken=taken, timeout=min(seconds, SEND_TIMEOUT_SECONDS)
            )
    except SendLater as error:
        raise _wait(error, since=message.created_at) from error
    if receipt:
        with context.complete():
            delivery.record_sent(message.pk, receipt)
        return True
    age = timezone.now() - since
    later = [moment for moment in LOOKUPS if moment > age]
    if not later:
        return False
    with context.fenced():
        delivery.settle(message.pk, DeliveryStatus.UNKNOWN)
    raise Defer(gettext_noop("the outcome of the send is not known"), after=later[0] - age)


def _may_leave(message: Message) -> timedelta | None:
    """How long the provider may keep the message until it leaves; None: as long as it likes.

    Raises NotSent when the contact has opted out, or the window for free text has closed since it was stored.
    """
    if message.conversation.contact.opted_out_at:
        raise NotSent("", OPTED_OUT, Remedy.OPT_OUT)
    if message.template_id:
        return None
    left = window.time_left(message.conversation, timezone.now())
    if left == timedelta(0):
        raise NotSent("", window.CLOSED, Remedy.WINDOW_CLOSED)
    return left


def _prepare(channel: Channel, outgoing: OutgoingMessage) -> object:
    """What is missing is a person's to add: to wait for that is no failure, however long it takes."""
    try:
        return channel.prepare(outgoing.account_id)
    except SendLater as error:
        raise Retry(str(error)) if error.after is None else Defer(str(error), after=error.after) from error


def _wait(error: SendLater, *, since: datetime) -> Defer | Retry:
    """To wait as long as the provider asks is no failure, for `PATIENCE`; then it is one, and may be the last.

    A message that a pause has kept for longer still has all of its task's attempts.
    """
    if error.after is None:
        return Retry(str(error))
    if timezone.now() - since < PATIENCE:
        return Defer(str(error), after=error.after)
    return Retry(str(error), after=max(error.after, AFTER_PATIENCE))


def _outgoing(message: Message, resend: int, *, valid_for: timedelta | None = None) -> OutgoingMessage:
    return OutgoingMessage(
        message_id=message.pk,
        account_id=message.channel_account_id,
        medium=message.channel_account.medium,
        sender=message.channel_account.address,
        recipient=message.conversation.contact.address,
        text=message.text,
        media_urls=media_links.public_urls(message),
        template=message.template.external_id if message.template else "",
        variables=message.template_variables,
        valid_for=valid_for,
        resend=resend,
    )
