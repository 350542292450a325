"""Forgets a contact: here, in the queue, in the files, and at the provider. A certificate without their data stays."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import datetime, timedelta

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from queueing.backoff import Backoff
from queueing.context import JobContext
from queueing.errors import Defer, Retry
from queueing.forget import forget
from queueing.tasks import task

from .channels import SendLater, get_channel
from .models import Contact, Conversation, Erasure, Media, Message

BATCH = 20  # messages that are erased before the next checkpoint
CALL_SECONDS = 10.0
RESERVE_SECONDS = 30  # the job goes on later where this attempt has no more time


def erase_later(contact: Contact, *, by: str, now: datetime) -> Erasure:
    """Store the request with the job that carries it out. Returns its certificate, which is finished later.

    Args:
        by: who asked for it, as it will stand in the certificate: an operator's name, never the contact's.
    """
    with transaction.atomic():
        erasure = Erasure.objects.create(
            workspace_id=contact.workspace_id, reference=uuid.uuid4(), requested_by=by, requested_at=now
        )
        erase_contact.using(unique_key=f"erase:{contact.pk}").enqueue(contact_id=contact.pk, erasure_id=erasure.pk)
    return erasure


@task(
    takes_context=True,
    queue_name="maintenance",
    timeout=timedelta(minutes=5),
    max_attempts=50,
    backoff=Backoff(base=timedelta(seconds=10), maximum=timedelta(hours=1)),
)
def erase_contact(context: JobContext, contact_id: int, erasure_id: int) -> None:
    """Erase everything of the contact: their messages in batches, each at the provider first, then all the rest.

    It can be ended at any point, and begins again where it stood. What the contact writes meanwhile is erased too.
    """
    while batch := _batch(contact_id):
        if context.remaining() < RESERVE_SECONDS:
            raise Defer("there is more to erase", after=timedelta(0))
        _erase_outside(context, batch)
        with context.fenced():
            _erase_messages(batch, erasure_id)
    with context.complete():
        _erase_rest(contact_id, erasure_id)


def _batch(contact_id: int) -> list[Message]:
    messages = Message.objects.filter(conversation__contact=contact_id).order_by("-pk")
    return list(messages.select_related("channel_account").prefetch_related("media")[:BATCH])


def _erase_outside(context: JobContext, messages: list[Message]) -> None:
    """The provider's copies, and our files. Erasing what is gone already does no harm."""
    for message in messages:
        if message.external_id:
            channel = get_channel(message.channel_account.channel)
            try:
                prepared = channel.prepare(message.channel_account_id)
                with context.outside() as seconds:
                    channel.erase(prepared, message.external_id, timeout=min(seconds, CALL_SECONDS))
            except SendLater as error:
                raise Retry(str(error), after=error.after) from error
        with context.outside():
            for media in message.media.all():
                if media.file:
                    default_storage.delete(str(media.file))


def _erase_messages(messages: list[Message], erasure_id: int) -> None:
    ids = [message.pk for message in messages]
    by_channel: dict[str, list[str]] = {}
    for message in messages:
        if message.external_id:
            by_channel.setdefault(message.channel_account.channel, []).append(message.external_id)
    records = sum(get_channel(name).forget(external_ids=known) for name, known in by_channel.items())
    files = Media.objects.filter(message__in=ids).exclude(file="").count()
    Message.objects.filter(pk__in=ids).delete()
    _count(erasure_id, messages=len(ids), files=files, records=records)


def _erase_rest(contact_id: int, erasure_id: int) -> None:
    contact = Contact.objects.select_for_update().filter(pk=contact_id).first()
    if contact is None:  # a second request for the same contact
        _finish(erasure_id)
        return
    conversations = list(Conversation.objects.select_for_update().filter(contact=contact))
    if Message.objects.filter(conversation__in=conversations).exists():  # one came just now
        raise Retry("the contact has written meanwhile", after=timedelta(0))
    channels = {conversation.channel_account.channel for conversation in conversations}
    records = sum(get_channel(name).forget(address=contact.address) for name in channels)
    jobs = forget({f"conversation:{conversation.pk}" for conversation in conversations})
    _count(erasure_id, conversations=len(conversations), jobs=jobs, records=records)
    Conversation.objects.filter(previous__in=conversations).update(previous=None)
    Conversation.objects.filter(pk__in=[conversation.pk for conversation in conversations]).delete()
    contact.delete()
    _finish(erasure_id)


def _count(erasure_id: int, **counts: int) -> None:
    erasure = Erasure.objects.select_for_update().get(pk=erasure_id)
    erasure.counts = dict(Counter(erasure.counts) + Counter(counts))
    erasure.save(update_fields=["counts"])


def _finish(erasure_id: int) -> None:
    Erasure.objects.filter(pk=erasure_id).update(finished_at=timezone.now())
