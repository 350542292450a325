"""Outbound messages as rows, with the files that go along."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from mimetypes import guess_type
from typing import Any

from django.core.files import File

from .models import Author, Conversation, DeliveryStatus, Direction, Media, MediaState, Message

OutgoingFile = File[bytes] | str  # a file of ours, or the public address of one


def insert(
    conversation: Conversation, text: str, status: DeliveryStatus, *, author: Author, now: datetime, **fields: Any
) -> Message:
    """A message from us. The conversation's row must be locked."""
    return Message.objects.create(
        conversation=conversation,
        channel_account_id=conversation.channel_account_id,
        seq=conversation.take_seq(now),
        direction=Direction.OUTBOUND,
        author=author,
        text=text,
        delivery_status=status,
        created_at=now,
        **fields,
    )


def keep_draft(
    conversation: Conversation,
    text: str,
    *,
    author: Author,
    now: datetime,
    reason: str,
    media: Sequence[OutgoingFile] = (),
) -> Message:
    """Store an answer that was overtaken: operators see it, the contact never does."""
    draft = insert(conversation, text, DeliveryStatus.DRAFT, author=author, now=now, error_reason=reason)
    attach(draft, media, now)
    return draft


def attach(message: Message, media: Sequence[OutgoingFile], now: datetime) -> None:
    """Add files to the message, in this order. What each is, is told by its name."""
    for position, file in enumerate(media):
        name = file if isinstance(file, str) else file.name or ""
        Media.objects.create(
            message=message,
            position=position,
            content_type=guess_type(name)[0] or "",
            source_url=file if isinstance(file, str) else "",
            file="" if isinstance(file, str) else file,
            size=None if isinstance(file, str) else file.size,
            state=MediaState.STORED,
            stored_at=now,
        )
