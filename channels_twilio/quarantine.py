"""Webhooks that were refused, kept for a while as they came: so that what was refused by mistake can be released.

Most of what is refused is nobody's; but a wrong `PUBLIC_BASE_URL` or token refuses every message too.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone

from queueing.masking import words_of
from queueing.periodic import periodic
from queueing.tasks import task

from .models import QuarantinedRequest, TwilioAccount
from .rate_limit import RateLimit
from .signature import SignedRequest

logger = logging.getLogger(__name__)

KEPT_FOR = timedelta(days=7)
MAX_BODY = 32 * 1024  # bytes; ten times what a long message with all its parameters takes
# The newest are kept, for they can still be answered, and nobody can fill the place up in advance. Each account has
# room of its own, and those that are not ours share one: a flood under one name pushes nothing out under another.
PER_ACCOUNT, OF_STRANGERS, IN_ALL = 100, 50, 2000
WRITES = RateLimit(per_address=60, overall=120)  # so that a flood of refusals is no flood of writes
LIMITS = {field.name: field.max_length for field in QuarantinedRequest._meta.concrete_fields if field.max_length}


class Quarantining(HttpResponse):
    """A refusal whose request is kept once the answer has left: the caller neither waits for that nor sees it fail."""

    status_code = 403

    def __init__(self, request: HttpRequest, text: str, **options: Any) -> None:
        super().__init__(text, **options)
        self._refused: HttpRequest | None = request

    def close(self) -> None:
        request, self._refused = self._refused, None
        if request:
            try:
                keep(request)
            except (DatabaseError, RequestDataTooBig, TooManyFieldsSent, BadRequest, UnreadablePostError) as error:
                logger.warning("a refused webhook was not kept: %s: %s", type(error).__name__, words_of(error))
        super().close()


def keep(request: HttpRequest) -> QuarantinedRequest | None:
    """Put a refused request into quarantine. None when it is not worth its place, or when too many come at once.

    It is, if it carries a signature or names an account of ours. Raises DatabaseError.
    """
    signed = SignedRequest(request)
    claimed = signed.account_sid
    if not (signed.signature or claimed) or len(request.body) > MAX_BODY:
        return None
    if WRITES.take(request.META.get("REMOTE_ADDR", "")):
        return None
    is_ours = bool(claimed) and TwilioAccount.objects.filter(account_sid=claimed).exists()
    if not (signed.signature or is_ours):
        return None
    row = QuarantinedRequest(
        received_at=timezone.now(),
        account_sid=claimed,
        path=signed.target,
        host=request.META.get("HTTP_HOST", ""),
        scheme=request.scheme or "",
        content_type=request.META.get("CONTENT_TYPE", ""),
        signature=signed.signature,
        signature_settings=request.headers.get("X-Twilio-Webhooks-Signature-Settings", ""),
        body=request.body,
    )
    if any(len(getattr(row, name)) > limit for name, limit in LIMITS.items()):
        return None
    with transaction.atomic():
        row.save(force_insert=True)
        _make_room(claimed, is_ours=is_ours)
    return row


def as_request(row: QuarantinedRequest) -> HttpRequest:
    """The request as it came, to be checked and read like any other."""
    target = urlsplit(f"//host{row.path}")
    body = bytes(row.body)
    return WSGIRequest(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": unquote(target.path, "latin-1"),
            "QUERY_STRING": target.query,
            "RAW_URI": row.path,
            "CONTENT_TYPE": row.content_type,
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HOST": row.host,
            "HTTP_X_TWILIO_SIGNATURE": row.signature,
            "HTTP_X_TWILIO_WEBHOOKS_SIGNATURE_SETTINGS": row.signature_settings,
            "wsgi.url_scheme": row.scheme,
            "wsgi.input": BytesIO(body),
        }
    )


@periodic(every=timedelta(hours=1))
@task(queue_name="maintenance")
def expire_quarantine() -> None:
    """What nobody has missed for `KEPT_FOR` was nobody's. It may hold what people wrote, so it is not kept longer."""
    QuarantinedRequest.objects.filter(received_at__lt=timezone.now() - KEPT_FOR).delete()


def _make_room(claimed: str, *, is_ours: bool) -> None:
    if is_ours:
        _drop_oldest(Q(account_sid=claimed), beyond=PER_ACCOUNT)
    else:
        ours = TwilioAccount.objects.values("account_sid")
        _drop_oldest(~Q(account_sid__in=ours), beyond=OF_STRANGERS)
    _drop_oldest(Q(), beyond=IN_ALL)


def _drop_oldest(which: Q, *, beyond: int) -> None:
    newest = QuarantinedRequest.objects.filter(which).order_by("-pk").values_list("pk", flat=True)
    last_kept = newest[beyond - 1 : beyond].first()
    if last_kept:
        QuarantinedRequest.objects.filter(which, pk__lt=last_kept).delete()


def forget(address: str) -> int:
    """Delete what names this contact's address. Returns how many requests did. There are never many to look at."""
    digits = address.removeprefix("+").encode()  # the sign is written in two ways
    held = QuarantinedRequest.objects.only("pk", "body").iterator(chunk_size=100)
    found = [row.pk for row in held if digits in bytes(row.body)]
    QuarantinedRequest.objects.filter(pk__in=found).delete()
    return len(found)
