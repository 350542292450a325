"""Twilio's webhooks: verify, translate, one domain call, answer. Nothing is answered 200 before its commit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps

from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from opentelemetry.trace import SpanKind
from structlog.contextvars import bind_contextvars

from conversations import delivery, inbox
from queueing.masking import words_of
from queueing.tracing import span

from .models import CHANNEL, StatusEvent, TwilioAccount
from .payloads import Unreadable, to_destination, to_inbound, to_status
from .senders import channel_account_for
from .signature import Refused, Unverifiable, verified_account

logger = logging.getLogger(__name__)

EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'  # an answer to the contact is sent later, by the API


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
            return _plain(403, "The signature is missing or wrong.")
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
    message = to_inbound(request.POST)
    bind_contextvars(correlation_id=message.external_id)  # in the log, what the jobs that come of it carry
    channel_account = channel_account_for(to_destination(request.POST), account=account)
    inbox.receive(message, account=channel_account, now=timezone.now())
    return HttpResponse(EMPTY_TWIML, content_type="text/xml")


@signed
def status(request: HttpRequest, account: TwilioAccount) -> HttpResponse:
    """News of a message that we sent, also of one whose sending we have not committed yet, or do not know at all."""
    report, now = to_status(request.POST, request.GET.get("m", "")), timezone.now()
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
            delivery.record_status(
                channel=CHANNEL,
                workspace_id=account.workspace_id,
                external_id=report.external_id,
                message_id=report.message_id,
                status=report.status,
                error_code=report.error_code,
                error_reason=report.error_reason,
                now=now,
            )
    return HttpResponse(status=204)


def _come_again(text: str) -> HttpResponse:
    response = _plain(503, text)
    response["Retry-After"] = "5"
    return response


def _plain(code: int, text: str) -> HttpResponse:
    return HttpResponse(text, status=code, content_type="text/plain; charset=utf-8")
