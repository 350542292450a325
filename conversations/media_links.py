"""Addresses under which a provider fetches the files that we send: signed, and short-lived."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from .models import Direction, Media, MediaState, Message

SALT = "conversations.media"
LIFETIME = timedelta(hours=12)  # longer than providers keep a message in their queue


def public_urls(message: Message) -> tuple[str, ...]:
    """Where the message's files lie for a provider, in their order."""
    return tuple(
        f"{settings.PUBLIC_BASE_URL}{reverse('sent-media', args=[signing.dumps(media.pk, salt=SALT)])}"
        if media.file
        else media.source_url
        for media in message.media.order_by("position")
    )


@require_safe
def media(request: HttpRequest, token: str) -> FileResponse:
    """The file behind a signed address: one that we sent, as long as it is kept."""
    try:
        pk = signing.loads(token, salt=SALT, max_age=LIFETIME)
    except signing.BadSignature:  # also of one that has expired
        raise Http404 from None
    found = get_object_or_404(Media, pk=pk, state=MediaState.STORED, message__direction=Direction.OUTBOUND)
    try:
        return FileResponse(
            found.file.open("rb"),
            content_type=found.content_type or "application/octet-stream",
            headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"},
        )
    except FileNotFoundError:
        raise Http404 from None
