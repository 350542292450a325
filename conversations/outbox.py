"""Where a message goes out: its intent is stored before the request leaves, so nothing is ever blindly sent twice."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from queueing.backoff import Backoff
from queueing.context import JobContext
from queueing.errors import Defer, Retry
from queueing.tasks import task

from . import delivery, handoff
from .channels import NotSent, OptedOut, OutcomeUnknown, OutgoingMessage, SendLater, get_channel
from .models import Author, Contact, Conversation, DeliveryStatus, Direction, Message
from .splitting import split_text

SEND_TIMEOUT_SECONDS = 10.0

# When a send of unknown outcome is looked up at the provider, from its intent on. After the last look a person decides.
LOOKUPS = (timedelta(seconds=15), timedelta(minutes=2), timedelta(minutes=10))


def send(
    conversation: Conversation, text: str, *, author: Author, now: datetime, answers_seq: int | None = None
) -> list[Message]:
    """Store a message, in as many parts as its channel needs, with the jobs that deliver them in this order.

    The conversation's row must be locked by the caller's transaction.

    Args:
        answers_seq: the number of the first message that this answers; the database refuses a second answer to it.
    """
    channel = get_channel(conversation.channel_account.channel)
    parts = []
    for part, words in enumerate(split_text(text, channel.max_text_length)):
        message = _store(
            conversation, words, DeliveryStatus.PENDING, author=author, now=now, answers_seq=answers_seq, part=part
        )
        deliver_message.using(
            ordering_key=f"send:{conversation.pk}",
            subject=f"conversation:{conversation.pk}",
            fairness_key=f"workspace:{conversation.workspace_id}",
        ).enqueue(message_id=message.pk)
        parts.append(message)
    return parts


def keep_draft(conversation: Conversation, text: str, *, author: Author, now: datetime, reason: str) -> Message:
    """Store an answer that was overtaken: operators see it, the contact never does."""
    draft = _store(conversation, text, DeliveryStatus.DRAFT, author=author, now=now, answers_seq=None, part=0)
    Message.objects.filter(pk=draft.pk).update(error_reason=reason)
    return draft


def _store(
    conversation: Conversation,
    text: str,
    status: DeliveryStatus,
    *,
    author: Author,
    now: datetime,
    answers_seq: int | None,
    part: int,
) -> Message:
    return Message.objects.create(
        conversation=conversation,
        channel_account_id=conversation.channel_account_id,
        seq=conversation.take_seq(now),
        direction=Direction.OUTBOUND,
        author=author,
        text=text,
        delivery_status=status,
        created_at=now,
        answers_seq=answers_seq,
        part=part,
    )


@task(
    takes_context=True,
    timeout=timedelta(seconds=60),
    max_attempts=20,
    max_age=timedelta(hours=24),
    backoff=Backoff(base=timedelta(seconds=2), maximum=timedelta(minutes=10)),
    on_dead="give_up_delivery",
)
def deliver_message(context: JobContext, message_id: int) -> None:
    """Send one stored message, or find out what became of an earlier try."""
    message = Message.objects.select_related("conversation__contact", "channel_account").get(pk=message_id)
    if message.delivery_status == DeliveryStatus.PENDING:
        _send(context, message)
    elif message.delivery_status in (DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN):
        _look_up(context, message)


@task
def give_up_delivery(message_id: int) -> None:
    """The job that should have sent a message is dead: say so at the message, and give the conversation to a person."""
    now = timezone.now()
    with transaction.atomic():
        if delivery.record_failure(message_id, code="", reason=gettext_noop("gave up sending")):
            _hand_over(message_id, gettext_noop("a message could not be sent"), now)


def _send(context: JobContext, message: Message) -> None:
    if message.conversation.contact.opted_out_at:
        with context.complete():
            _settle(message, DeliveryStatus.SUPPRESSED, error_reason=gettext_noop("the contact has opted out"))
        return
    channel, outgoing = get_channel(message.channel_account.channel), _outgoing(message)
    try:
        prepared = channel.prepare(outgoing.account_id)
        with context.fenced():
            _settle(message, DeliveryStatus.SENDING, sending_since=timezone.now())
        with context.outside() as seconds:
            receipt = channel.send(outgoing, prepared, timeout=min(seconds, SEND_TIMEOUT_SECONDS))
    except SendLater as error:
        with context.fenced():
            _settle(message, DeliveryStatus.PENDING, sending_since=None)
        raise _wait(error) from error
    except OutcomeUnknown as error:
        with context.fenced():
            _settle(message, DeliveryStatus.UNKNOWN, error_reason=str(error))
        raise Defer(gettext_noop("the outcome of the send is not known"), after=LOOKUPS[0]) from error
    except NotSent as error:
        with context.complete():
            _refused(message, error)
    else:
        with context.complete():
            delivery.record_sent(message.pk, receipt)


def _look_up(context: JobContext, message: Message) -> None:
    """Ask the provider whether the message was sent. A callback that carries our id may have settled it before."""
    channel, outgoing = get_channel(message.channel_account.channel), _outgoing(message)
    since = message.sending_since or message.created_at
    taken = frozenset(
        Message.objects.filter(
            conversation__contact=message.conversation.contact, created_at__gte=since - timedelta(days=1)
        )
        .exclude(external_id="")
        .values_list("external_id", flat=True)
    )
    try:
        prepared = channel.prepare(outgoing.account_id)
        with context.outside() as seconds:
            receipt = channel.find(
                outgoing, prepared, since=since, taken=taken, timeout=min(seconds, SEND_TIMEOUT_SECONDS)
            )
    except SendLater as error:
        raise _wait(error) from error
    if receipt:
        with context.complete():
            delivery.record_sent(message.pk, receipt)
        return
    age = timezone.now() - since
    later = [moment for moment in LOOKUPS if moment > age]
    if later:
        with context.fenced():
            _settle(message, DeliveryStatus.UNKNOWN)
        raise Defer(gettext_noop("the outcome of the send is not known"), after=later[0] - age)
    with context.complete():
        delivery.record_failure(message.pk, code="", reason=gettext_noop("no trace of it at the provider"))
        _hand_over(message.pk, gettext_noop("it is not known whether a message was sent"), timezone.now())


def _wait(error: SendLater) -> Defer | Retry:
    """To wait as long as one was asked to is no failure, however often it happens: the job's age alone limits it."""
    return Retry(str(error)) if error.after is None else Defer(str(error), after=error.after)


def _outgoing(message: Message) -> OutgoingMessage:
    return OutgoingMessage(
        message_id=message.pk,
        account_id=message.channel_account_id,
        medium=message.channel_account.medium,
        sender=message.channel_account.address,
        recipient=message.conversation.contact.address,
        text=message.text,
    )


def _settle(message: Message, status: DeliveryStatus, **changes: object) -> None:
    """Move a message that the provider has not acknowledged. A callback that came first wins: it knows more."""
    ours = (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN)
    Message.objects.filter(pk=message.pk, delivery_status__in=ours).update(delivery_status=status, **changes)


def _refused(message: Message, error: NotSent) -> None:
    if isinstance(error, OptedOut):
        Contact.objects.filter(pk=message.conversation.contact_id, opted_out_at=None).update(
            opted_out_at=timezone.now()
        )
        _settle(message, DeliveryStatus.SUPPRESSED, error_code=error.code, error_reason=error.reason[:300])
    elif delivery.record_failure(message.pk, code=error.code, reason=error.reason):
        _hand_over(message.pk, gettext_noop("a message could not be sent"), timezone.now())


def _hand_over(message_id: int, reason: str, now: datetime) -> None:
    conversation = Conversation.objects.select_for_update().get(messages=message_id)
    handoff.hand_over(conversation, actor="system", reason=reason, now=now)
