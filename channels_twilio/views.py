"""Twilio's webhooks: verify, translate, one domain call, answer. Nothing is answered 200 before its commit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import wraps
from math import ceil

from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, QueryDict, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from opentelemetry.trace import SpanKind
from structlog.contextvars import bind_contextvars

from conversations import inbox, news
from queueing.masking import words_of
from queueing.tracing import span

from .models import CHANNEL, StatusEvent, TwilioAccount
from .payloads import Unreadable, to_destination, to_inbound, to_status
from .quarantine import Quarantining
from .rate_limit import RateLimit
from .senders import channel_account_for
from .signature import Refused, SignedRequest, Unverifiable, verified_account

logger = logging.getLogger(__name__)

PLAIN = "text/plain; charset=utf-8"
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'  # an answer to the contact is sent later, by the API

REFUSALS = RateLimit(per_address=300, overall=1500)


def signed(view: Callable[[HttpRequest, TwilioAccount], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A webhook that only Twilio can call: `view` is also given the account that signed the request."""

    @csrf_exempt
    @require_POST
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        with span(f"POST {request.path}", SpanKind.SERVER, parent=request.headers.get("traceparent", "")) as current:
            response = checked(request)
            current.set_attribute("http.response.status_code", response.status_code)
        return response

    def checked(request: HttpRequest) -> HttpResponse:
        try:
            return view(request, verified_account(request))
        except Refused:
            return _refuse(request)
        except (RequestDataTooBig, TooManyFieldsSent):
            return _plain(413, "The request is too large.")
        except (Unreadable, BadRequest, UnreadablePostError) as error:
            return _plain(400, str(error))
        except (OperationalError, InterfaceError) as error:
            # Locked, gone, or no connection free: nothing is stored, so Twilio must come again.
            logger.error("the database refused a webhook: %s: %s", type(error).__name__, words_of(error))
            return _come_again("The database is not available. Please try again.")
        except Unverifiable as error:
            logger.error("a webhook cannot be verified: %s", error)
            return _come_again("The signature cannot be checked now. Please try again.")

    return answer


@signed
def inbound(request: HttpRequest, account: TwilioAccount) -> HttpResponse:
    """A message has come in. A repeated one is answered like the first."""
    take_message(SignedRequest(request).params, account, now=timezone.now())
    return HttpResponse(EMPTY_TWIML, content_type="text/xml")


@signed
def status(request: HttpRequest, account: TwilioAccount) -> HttpResponse:
    """News of a message that we sent, also of one whose sending we have not committed yet, or do not know at all."""
    take_status(SignedRequest(request).params, request.GET.get("m", ""), account, now=timezone.now())
    return HttpResponse(status=204)


def take_message(params: QueryDict, account: TwilioAccount, *, now: datetime, sent_at: datetime | None = None) -> None:
    """Store the message that `account` has signed. Raises Unreadable, or DatabaseError when nothing was stored.

    Args:
        sent_at: when it was written, where that was not just now.
    """
    message = replace(to_inbound(params), sent_at=sent_at)
    bind_contextvars(correlation_id=message.external_id)  # in the log, what the jobs that come of it carry
    channel_account = channel_account_for(to_destination(params), account=account)
    inbox.receive(message, account=channel_account, now=now)


def take_status(params: QueryDict, message_id: str, account: TwilioAccount, *, now: datetime) -> None:
    """Store the news that `account` has signed, and merge it. Raises DatabaseError when nothing was stored.

    Args:
        message_id: what the callback URL carried as our message's id.
    """
    report = to_status(params, message_id)
    with transaction.atomic():
        StatusEvent.objects.create(
            account_sid=account.account_sid,
            external_id=report.external_id,
            message_id=report.message_id,
            status=report.word,
            error_code=report.error_code,
            raw=report.raw,
            received_at=now,
        )
        if report.status:
            news.hear(
                channel=CHANNEL,
                workspace_id=account.workspace_id,
                external_id=report.external_id,
                message_id=report.message_id,
                resend=report.resend,
                status=report.status,
                error_code=report.error_code,
                error_reason=report.error_reason,
                remedy=report.remedy,
                now=now,
            )


def _refuse(request: HttpRequest) -> HttpResponse:
    """403, and into quarantine; 429 to those who come too often, whose requests leave no trace.

    Only what has no valid signature comes here, so what Twilio signs is never counted, nor held up by those who are.
    """
    wait = REFUSALS.take(request.META.get("REMOTE_ADDR", ""))
    if wait:
        response = _plain(429, "Too many requests without a valid signature.")
        response["Retry-After"] = str(ceil(wait))
        return response
    return Quarantining(request, "The signature is missing or wrong.", content_type=PLAIN)


def _come_again(text: str) -> HttpResponse:
    response = _plain(503, text)
    response["Retry-After"] = "5"
    return response


def _plain(code: int, text: str) -> HttpResponse:
    return HttpResponse(text, status=code, content_type=PLAIN)
