"""Where a message comes in: it is stored together with the job that will answer it, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import translation
from django.utils.translation import gettext_noop

from . import after_hours, handoff, lifecycle, outbox, phrases, suppression
from .assistants.base import HANDOFF_TEXT
from .media import fetch_later
from .models import (
    OPEN_STATES,
    Author,
    ChannelAccount,
    Contact,
    Conversation,
    DeliveryStatus,
    Direction,
    Media,
    Message,
    Outcome,
    State,
)
from .responder import answer_later


class Keyword(StrEnum):
    """A word with which a contact steers what they get."""

    STOP = "stop"
    START = "start"
    HELP = "help"


REASONS = {
    Keyword.STOP: gettext_noop("wants no more messages"),
    Keyword.START: gettext_noop("wants messages again"),
    Keyword.HELP: gettext_noop("wants to know how this works"),
}


class Wish(StrEnum):
    """What a message asks for that is nothing but one of the workspace's own phrases."""

    END = "end"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class InboundMedia:
    """A file at the provider, not fetched yet."""

    content_type: str
    source_url: str


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message as a channel understood it; no provider word is left outside `raw`."""

    external_id: str
    sender: str  # the contact's address, for example +15550107777
    sender_name: str
    text: str
    kind: str = "text"
    details: dict[str, Any] = field(default_factory=dict)
    media: tuple[InboundMedia, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict)
    keyword: Keyword | None = None
    quoted: str = ""  # the external id of the message that this one replies to
    sent_at: datetime | None = None  # when the contact wrote it, where that was not just now


def receive(inbound: InboundMessage, *, account: ChannelAccount, now: datetime) -> Message | None:
    """Store `inbound` with contact, conversation and the job that answers it: all in one transaction, or nothing.

    Returns None when a message of this external id is stored already. One stored without `raw`, because only the
    provider's list had it, learns then what the list does not tell. Raises DatabaseError when nothing was stored.
    """
    if stored := _stored(inbound, account):
        _enrich(stored, inbound)
        return None
    try:
        with transaction.atomic():
            contact = _contact(inbound, account, now)
            conversation = _conversation(contact, account, now)
            _heed(inbound, conversation, now)
            wish = _wish(inbound, account)
            message = _store(inbound, conversation, contact, wish, now)
            _follow(message, conversation, wish, now)
    except IntegrityError:
        if stored := _stored(inbound, account):  # the same message, delivered twice at once: the other one won
            _enrich(stored, inbound)
            return None
        raise
    return message


def _stored(inbound: InboundMessage, account: ChannelAccount) -> Message | None:
    """The same message, at whichever address of the workspace: an address may have moved between two deliveries."""
    ours = Q(channel_account__workspace=account.workspace_id, channel_account__channel=account.channel)
    return Message.objects.filter(_named(inbound.external_id) & ours).only("raw", "conversation_id").first()


def _named(external_id: str) -> Q:
    # SQLite uses the partial index only where the query repeats its condition.
    return Q(external_id=external_id) & ~Q(external_id="")


def _enrich(stored: Message, inbound: InboundMessage) -> None:
    """What the provider tells after the message was found in its list. The text and the files are the same."""
    if stored.raw or not inbound.raw:
        return
    with transaction.atomic():
        contact = Contact.objects.get(conversations=stored.conversation_id)
        Message.objects.filter(pk=stored.pk, raw={}).update(
            kind=inbound.kind, details=inbound.details, raw=inbound.raw, quoted=_quoted(inbound, contact)
        )
        if inbound.sender_name:
            Contact.objects.filter(pk=contact.pk).update(name=inbound.sender_name)


def _quoted(inbound: InboundMessage, contact: Contact) -> Message | None:
    """What the contact replies to: a message of theirs, or one to them, and nobody else's."""
    if not inbound.quoted:
        return None
    return Message.objects.filter(_named(inbound.quoted), conversation__contact=contact).only("pk").first()


def _contact(inbound: InboundMessage, account: ChannelAccount, now: datetime) -> Contact:
    contact, _ = Contact.objects.get_or_create(
        workspace_id=account.workspace_id,
        medium=account.medium,
        address=inbound.sender,
        defaults={"name": inbound.sender_name, "created_at": now},
    )
    if inbound.sender_name not in ("", contact.name):
        contact.name = inbound.sender_name
        contact.save(update_fields=["name"])
    return contact


def _heed(inbound: InboundMessage, conversation: Conversation, now: datetime) -> None:
    if inbound.keyword == Keyword.STOP:
        suppression.opt_out(conversation, now=now)
    elif inbound.keyword == Keyword.START and not _is_overtaken(inbound, conversation.contact):
        suppression.opt_in(conversation, now=now)


def _is_overtaken(inbound: InboundMessage, contact: Contact) -> bool:
    """Whether the contact has opted out since: a START that was found late does not undo it."""
    return bool(inbound.sent_at and contact.opted_out_at and inbound.sent_at < contact.opted_out_at)


def _conversation(contact: Contact, account: ChannelAccount, now: datetime) -> Conversation:
    """The open conversation, locked until the commit: that puts the messages of one conversation in an order."""
    mine = Conversation.objects.filter(channel_account=account, contact=contact)
    conversation, _ = (
        mine.filter(state__in=OPEN_STATES)
        .select_for_update()
        .get_or_create(
            defaults={  # type: ignore[misc]  # the stubs do not know that a callable is called, where one is made
                "channel_account": account,
                "contact": contact,
                "workspace_id": account.workspace_id,
                "previous": mine.order_by("-pk").first,
                "opened_at": now,
                "last_message_at": now,
            }
        )
    )
    # Known, so not read again.
    conversation.channel_account, conversation.contact, conversation.workspace = account, contact, account.workspace
    return conversation


def _wish(inbound: InboundMessage, account: ChannelAccount) -> Wish | None:
    if inbound.keyword or inbound.media:
        return None
    if phrases.is_one_of(inbound.text, account.workspace.closing_words):
        return Wish.END
    return Wish.PERSON if phrases.is_one_of(inbound.text, account.workspace.handoff_words) else None


def _store(
    inbound: InboundMessage, conversation: Conversation, contact: Contact, wish: Wish | None, now: datetime
) -> Message:
    outcome, reason = _outcome(inbound, conversation, contact, wish)
    message = Message.objects.create(
        conversation=conversation,
        channel_account_id=conversation.channel_account_id,
        seq=conversation.take_seq(now, inbound_at=inbound.sent_at or now),
        direction=Direction.INBOUND,
        author=Author.CONTACT,
        kind=inbound.kind,
        text=inbound.text,
        details=inbound.details,
        external_id=inbound.external_id,
        delivery_status=DeliveryStatus.RECEIVED,
        created_at=now,
        raw=inbound.raw,
        quoted=_quoted(inbound, contact),
        outcome=outcome,
        outcome_reason=reason,
    )
    Media.objects.bulk_create(
        Media(message=message, position=n, content_type=media.content_type, source_url=media.source_url)
        for n, media in enumerate(inbound.media)
    )
    if inbound.media:
        fetch_later(message)
    return message


def _outcome(
    inbound: InboundMessage, conversation: Conversation, contact: Contact, wish: Wish | None
) -> tuple[Outcome, str]:
    """What becomes of the message, as far as that is certain when it comes in."""
    if inbound.keyword:
        return Outcome.SUPPRESSED, REASONS[inbound.keyword]
    if wish == Wish.END:
        return Outcome.SUPPRESSED, lifecycle.ENDED_BY_CONTACT
    if contact.opted_out_at:
        return Outcome.SUPPRESSED, gettext_noop("the contact has opted out")
    if conversation.state == State.HUMAN:
        return Outcome.HUMAN, gettext_noop("the conversation is with a person")
    return Outcome.WAITING, ""


def _follow(message: Message, conversation: Conversation, wish: Wish | None, now: datetime) -> None:
    """What the message sets going: an answer, an end, or a person."""
    if wish == Wish.END:
        lifecycle.move(conversation, State.CLOSED_BY_CONTACT, actor="contact", reason=gettext_noop("goodbye"), now=now)
        return
    if conversation.state == State.IDLE:
        lifecycle.move(conversation, State.IN_PROGRESS, actor="contact", reason=gettext_noop("wrote again"), now=now)
    if message.outcome == Outcome.SUPPRESSED:
        return
    if wish == Wish.PERSON and conversation.state != State.HUMAN:
        _call_a_person(conversation, now)
    after_hours.take_over(conversation, now=now)
    if conversation.state != State.HUMAN:
        answer_later(conversation, correlation_id=message.external_id)


def _call_a_person(conversation: Conversation, now: datetime) -> None:
    handoff.hand_over(conversation, actor="contact", reason=gettext_noop("asked for a person"), now=now)
    if not after_hours.has_a_word(conversation.workspace, now):
        with translation.override(conversation.workspace.locale):
            outbox.send(conversation, str(HANDOFF_TEXT), author=Author.SYSTEM, now=now)
