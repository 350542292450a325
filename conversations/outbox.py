"""Where a message goes out: it is stored with the job that sends it, and what a failure asks for is done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from queueing.backoff import Backoff
from queueing.context import JobContext
from queueing.errors import Defer
from queueing.tasks import task

from . import attempt, delivery, handoff, pausing, suppression, templating, window
from .channels import NotSent, Remedy, get_channel
from .models import (
    Author,
    Conversation,
    DeliveryStatus,
    Message,
    Outcome,
    Template,
    UnknownSends,
)
from .outbound import OutgoingFile, attach, insert, keep_draft
from .splitting import split_text

# After these times a message is sent again that the provider had accepted and could not deliver; then a person goes on.
RESENDS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=25))

UNDELIVERABLE = gettext_noop("a message could not be sent")


def send(
    conversation: Conversation,
    text: str,
    *,
    author: Author,
    now: datetime,
    answers_seq: int | None = None,
    media: Sequence[OutgoingFile] = (),
) -> list[Message]:
    """Store a message, in as many parts as its channel needs, with the jobs that deliver them in this order.

    Where the contact wrote too long ago for free text, it is kept as a draft, and the workspace's template is sent in
    its place, or a person goes on. To a contact who has opted out nothing is sent: the parts show it.

    The conversation's row must be locked by the caller's transaction.

    Args:
        answers_seq: the number of the first message that this answers; the database refuses a second answer to it.
        media: files, or public addresses of files; they go with the first part.

    Returns the messages that stand for it; none where a person must go on.
    """
    if not conversation.contact.opted_out_at and window.is_closed(conversation, now):
        keep_draft(conversation, text, author=author, now=now, reason=window.CLOSED, media=media)
        return _send_instead(conversation, author=author, now=now, answers_seq=answers_seq)
    channel = get_channel(conversation.channel_account.channel)
    parts = split_text(text, channel.max_text_length) or [""] * bool(media)
    messages = [
        _store(conversation, words, author=author, now=now, answers_seq=answers_seq, part=part)
        for part, words in enumerate(parts)
    ]
    if messages:
        attach(messages[0], media, now)
    return messages


def send_template(
    conversation: Conversation,
    template: Template,
    *,
    author: Author,
    now: datetime,
    variables: Mapping[str, str] | None = None,
    answers_seq: int | None = None,
) -> Message:
    """Store an approved text, which may be sent at any time. The conversation's row must be locked.

    Args:
        variables: what is filled in, by the placeholder's name; None: what the template itself says.
    """
    filled = dict(templating.fill(template, conversation) if variables is None else variables)
    return _store(
        conversation,
        templating.render(template, filled),
        author=author,
        now=now,
        answers_seq=answers_seq,
        template=template,
        template_variables=filled,
    )


def act_on(message_id: int, remedy: Remedy, *, reason: str, now: datetime) -> None:
    """Do what a failure asks for. Call it in the transaction that has moved the message, so that it is done once.

    Args:
        reason: the failure in words, for operators, without anybody's data.
    """
    message = Message.objects.select_related("channel_account").get(pk=message_id)
    conversation = Conversation.objects.select_for_update().get(pk=message.conversation_id)
    match remedy:
        case Remedy.OPT_OUT:
            suppression.opt_out(conversation, now=now)
        case Remedy.WINDOW_CLOSED if message.template_id is None:
            _go_on_outside_the_window(message, conversation, now)
        case Remedy.PAUSE:
            pausing.pause(message.channel_account_id, reason=reason, now=now)
            _deliver(message, conversation, now, resend=message.resends + 1)
        case Remedy.RESEND if message.resends < len(RESENDS):
            _deliver(message, conversation, now, resend=message.resends + 1, after=RESENDS[message.resends])
        case _:
            handoff.hand_over(conversation, actor="system", reason=UNDELIVERABLE, now=now)


@task(
    takes_context=True,
    timeout=timedelta(seconds=60),
    max_attempts=20,  # of those that failed; to wait as long as one is told to is none
    backoff=Backoff(base=timedelta(seconds=2), maximum=timedelta(minutes=10)),
    on_dead="give_up_delivery",
)
def deliver_message(context: JobContext, message_id: int, resend: int = 0) -> None:
    """Send one stored message, or find out what became of an earlier try.

    Args:
        resend: 1 and more: send it again, for the so many-th time, if the last send has failed.
    """
    message = Message.objects.select_related(
        "conversation__contact",
        "conversation__workspace",
        "conversation__channel_account",
        "channel_account",
        "template",
    ).get(pk=message_id)
    if message.delivery_status in (DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN):
        if not attempt.look_up(context, message):
            _decide_unknown(context, message)
    elif message.delivery_status == DeliveryStatus.PENDING or (
        resend > message.resends and message.delivery_status in delivery.SENDABLE
    ):
        pausing.wait_while_paused(message.channel_account)
        try:
            attempt.send(context, message, resend=max(resend, message.resends))
        except NotSent as error:
            _refused(context, message, error)


@task
def give_up_delivery(message_id: int) -> None:
    """The job that should have sent a message is dead: say so at the message, and give the conversation to a person."""
    now = timezone.now()
    with transaction.atomic():
        reason = gettext_noop("gave up sending")
        delivery.record_failure(message_id, code="", reason=reason)
        if delivery.has_failed(message_id):  # by this, or before, when it was to be sent again
            act_on(message_id, Remedy.GIVE_UP, reason=reason, now=now)


def _refused(context: JobContext, message: Message, error: NotSent) -> None:
    now = timezone.now()
    told = {"error_code": error.code[:20], "error_reason": error.reason[:300]}
    if error.remedy == Remedy.PAUSE:
        with context.fenced():
            delivery.settle(message.pk, DeliveryStatus.PENDING, sending_since=None, **told)
            pausing.pause(message.channel_account_id, reason=str(error), now=now)
        raise Defer(str(error), after=pausing.LOOK) from error
    status = {
        Remedy.OPT_OUT: DeliveryStatus.SUPPRESSED,
        Remedy.WINDOW_CLOSED: DeliveryStatus.DRAFT,
    }.get(error.remedy, DeliveryStatus.FAILED)
    with context.complete():
        # What is sent again has failed before, and stays so where it may not leave this time.
        if delivery.settle(message.pk, status, **told) or message.delivery_status != DeliveryStatus.PENDING:
            act_on(message.pk, error.remedy, reason=str(error), now=now)


def _decide_unknown(context: JobContext, message: Message) -> None:
    """Nobody can tell whether it was sent: it is sent again where the workspace wants that, or a person is told."""
    reason = gettext_noop("no trace of it at the provider")
    resend = message.conversation.workspace.unknown_sends == UnknownSends.RESEND
    if resend and message.resends < len(RESENDS):
        with context.fenced():
            mine = delivery.send_again(message)
        if mine:
            raise Defer(reason, after=timedelta(0))
        return
    with context.complete():
        if delivery.record_failure(message.pk, code="", reason=reason):
            conversation = Conversation.objects.select_for_update().get(pk=message.conversation_id)
            unknown = gettext_noop("it is not known whether a message was sent")
            handoff.hand_over(conversation, actor="system", reason=unknown, now=timezone.now())


def _go_on_outside_the_window(message: Message, conversation: Conversation, now: datetime) -> None:
    """Free text cannot be sent any more: what waits becomes drafts; one template goes in its place, or a person."""
    waiting = Message.objects.filter(conversation=conversation, template=None, delivery_status=DeliveryStatus.PENDING)
    late = [message.pk, *waiting.values_list("pk", flat=True)]
    waiting.update(delivery_status=DeliveryStatus.DRAFT, error_reason=window.CLOSED)
    answered = Message.objects.filter(answer__in=late)
    kept = message.delivery_status != DeliveryStatus.DRAFT  # it was accepted, and stays the burst's answer
    stands_for = _send_instead(
        conversation, author=Author(message.author), now=now, answers_seq=None if kept else message.answers_seq
    )
    if stands_for:
        answered.update(answer=stands_for[0])
    else:
        answered.update(outcome=Outcome.HUMAN, outcome_reason=window.CLOSED)


def _send_instead(
    conversation: Conversation, *, author: Author, now: datetime, answers_seq: int | None
) -> list[Message]:
    """The workspace's template, once until the contact writes again. Without one, a person goes on: an empty list."""
    template = conversation.workspace.window_template
    sent = conversation.messages.exclude(template=None)
    if conversation.last_inbound_at:
        sent = sent.filter(created_at__gt=conversation.last_inbound_at)
    if template and not sent.exists():
        return [send_template(conversation, template, author=author, now=now, answers_seq=answers_seq)]
    handoff.hand_over(conversation, actor="system", reason=window.CLOSED, now=now)
    return []


def _store(conversation: Conversation, text: str, *, author: Author, now: datetime, **fields: Any) -> Message:
    """A message with the job that delivers it, or one that says why it has none."""
    if conversation.contact.opted_out_at:
        fields |= {"error_reason": suppression.OPTED_OUT}
        return insert(conversation, text, DeliveryStatus.SUPPRESSED, author=author, now=now, **fields)
    message = insert(conversation, text, DeliveryStatus.PENDING, author=author, now=now, **fields)
    _deliver(message, conversation, now)
    return message


def _deliver(
    message: Message, conversation: Conversation, now: datetime, *, resend: int = 0, after: timedelta | None = None
) -> None:
    """The job that sends it, in the conversation's order. One that is sent again waits beside it: nobody behind it."""
    deliver_message.using(
        ordering_key=f"resend:{message.pk}" if resend else f"send:{conversation.pk}",
        subject=f"conversation:{conversation.pk}",
        fairness_key=f"workspace:{conversation.workspace_id}",
        priority=window.priority(conversation, now),
        run_after=after,
    ).enqueue(message_id=message.pk, **({"resend": resend} if resend else {}))
