"""Lets a request out of quarantine, the way that it would have taken, and mends what had kept it."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.db import transaction
from django.http import QueryDict
from django.utils import timezone

from .diagnosis import Diagnosis, diagnose
from .models import QuarantinedRequest, TwilioAccount
from .quarantine import as_request
from .signature import SignedRequest
from .views import take_message, take_status


class NotReleased(Exception):
    """The request is valid in no way, or was released already."""


def release(row: QuarantinedRequest) -> Diagnosis:
    """Process `row` as the webhook would have, once. Returns in which way it is valid.

    Raises NotReleased, Unreadable where it names no message, and DatabaseError; nothing has changed then. A message
    that came in another way meanwhile is not stored twice.
    """
    diagnosis, now = diagnose(row), timezone.now()
    if diagnosis is None:
        raise NotReleased
    request = as_request(row)
    params, account = SignedRequest(request).params, diagnosis.account
    with transaction.atomic():
        if not QuarantinedRequest.objects.filter(pk=row.pk, released_at=None).update(released_at=now):
            raise NotReleased
        if request.path_info.rstrip("/").endswith("/status"):
            take_status(params, _signed_query(diagnosis).get("m", ""), account, now=now)
        else:
            take_message(params, account, now=now, sent_at=row.received_at)
        if needs_token(diagnosis):
            TwilioAccount.objects.filter(pk=account.pk).update(next_auth_token=diagnosis.secret)
    row.released_at = now
    return diagnosis


def _signed_query(diagnosis: Diagnosis) -> QueryDict:
    """Of the URL that was signed: what came with the request may be another, which anybody can have written."""
    return QueryDict(urlsplit(diagnosis.url).query)


def needs_token(diagnosis: Diagnosis) -> bool:
    """Whether the account accepts such requests once it has the token too. A secondary token that it has stays."""
    is_token = diagnosis.secret in (diagnosis.owner.auth_token, diagnosis.owner.next_auth_token)
    return is_token and diagnosis.owner != diagnosis.account and not diagnosis.account.next_auth_token
