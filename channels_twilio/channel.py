"""Sends over Twilio, and says exactly what is known about the outcome."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import IO, Any, cast

import httpx
from django.utils import timezone
from opentelemetry.trace import SpanKind
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException

from conversations.channels import Channel, NotSent, OutcomeUnknown, OutgoingMessage, Receipt, SendLater
from conversations.models import DeliveryStatus, Medium
from queueing.masking import mask
from queueing.tracing import span

from . import media, quarantine
from .client import Credentials, Unreadable, client
from .error_codes import CONSEQUENCES, Remedy, remedy_for
from .models import StatusEvent, TwilioSender
from .payloads import DELIVERY_STATUSES, to_address
from .segments import count_segments
from .transport import NEVER_SENT, Transport
from .webhook_urls import status_url

logger = logging.getLogger(__name__)

TYPING_TIMEOUT_SECONDS = 2.0
UNTIL_CONFIGURED = timedelta(minutes=15)
SHORTEST_RETRY_AFTER, LONGEST_RETRY_AFTER = timedelta(seconds=1), timedelta(hours=1)
UNTIL_QUEUE_DRAINS = timedelta(minutes=1)  # 21611: 4 hours' worth of messages wait at Twilio for this number
CLOCK_SKEW = timedelta(seconds=10)  # Twilio's clock against ours, and its times are cut to whole seconds

REPLY_WINDOW = timedelta(hours=24)  # https://www.twilio.com/docs/whatsapp/key-concepts
LONGEST_VALIDITY = timedelta(seconds=36_000)  # and what Twilio takes where none is given

# What Twilio takes from one sender. https://www.twilio.com/docs/messaging/guides/scaling-queueing-latency
WHATSAPP_SANDBOX = "+14155238886"
BETWEEN_WHATSAPP = timedelta(seconds=1) / 80
BETWEEN_SANDBOX = timedelta(seconds=3)
BETWEEN_SEGMENTS = timedelta(seconds=1)  # a long code
BETWEEN_SHORT_CODE = timedelta(seconds=1) / 100
LONGEST_SHORT_CODE = 6  # digits

# What the SDK raises over an answer that is not what Twilio's API answers: cut off, HTML, a list.
UNPARSABLE = (ValueError, TypeError, AttributeError, KeyError)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the calls for one channel account need, read beforehand."""

    medium: str
    credentials: Credentials
    messaging_service_sid: str


class TwilioChannel(Channel):
    """WhatsApp and SMS over Twilio's Messages API. It has no idempotency key: nothing is ever sent twice on a guess."""

    max_text_length = 1600  # error 21617, on every channel

    def reply_window(self, medium: str) -> timedelta | None:
        return REPLY_WINDOW if medium == Medium.WHATSAPP else None

    def time_on_air(self, outgoing: OutgoingMessage) -> timedelta:
        """By default; a channel account may have been given another rate. Each segment of an SMS counts."""
        if outgoing.medium == Medium.WHATSAPP:
            return BETWEEN_SANDBOX if outgoing.sender == WHATSAPP_SANDBOX else BETWEEN_WHATSAPP
        segments = count_segments(outgoing.text)
        return segments * (BETWEEN_SHORT_CODE if len(outgoing.sender) <= LONGEST_SHORT_CODE else BETWEEN_SEGMENTS)

    def prepare(self, account_id: int) -> Prepared:
        """Raises SendLater while no Twilio account is tied to the channel account, or its token cannot be read.

        Messages wait for the operator then.
        """
        sender = (
            TwilioSender.objects.select_related("account", "channel_account").filter(channel_account=account_id).first()
        )
        if sender is None:
            raise SendLater("no Twilio account is tied to the channel account", after=UNTIL_CONFIGURED)
        try:
            credentials = Credentials.of(sender.account)
        except Unreadable as error:
            raise SendLater(str(error), after=UNTIL_CONFIGURED) from None
        return Prepared(sender.channel_account.medium, credentials, sender.messaging_service_sid)

    def send(self, outgoing: OutgoingMessage, prepared: object, *, timeout: float) -> Receipt:
        prepared = cast(Prepared, prepared)
        transport = Transport(timeout=timeout)
        try:
            with span("Twilio: send", SpanKind.CLIENT, {"messaging.operation.type": "send"}) as current:
                message = client(prepared.credentials, transport).messages.create(**_parameters(outgoing, prepared))
                receipt = _receipt(message)
                current.set_attribute("messaging.message.id", receipt.external_id)
            return receipt
        except NEVER_SENT as error:
            raise SendLater(f"no connection to Twilio: {type(error).__name__}") from None
        except httpx.TransportError as error:
            raise OutcomeUnknown(f"no answer from Twilio: {type(error).__name__}") from None
        except (TwilioRestException, TwilioServiceException) as error:
            raise _refusal(error, cast(httpx.Response, transport.answer), outgoing) from None
        except UNPARSABLE as error:
            if transport.answer is None:
                raise  # nothing was answered, so this is no answer's fault
            raise OutcomeUnknown(f"not an answer of Twilio's: {type(error).__name__}") from None

    def find(
        self, outgoing: OutgoingMessage, prepared: object, *, since: datetime, taken: frozenset[str], timeout: float
    ) -> Receipt | None:
        """Lists by recipient only: a message just accepted has no DateSent, one that a Messaging Service sends no From.

        Of several that fit, the oldest is it: the sends of a conversation leave in their order.
        """
        api = client(cast(Prepared, prepared).credentials, Transport(timeout=timeout))
        earliest = since - CLOCK_SKEW
        found: dict[datetime, Any] = {}
        try:
            page = api.messages.page(to=to_address(outgoing.medium, outgoing.recipient), page_size=100)
            while page:
                messages = list(page)
                for message in messages:
                    if message.sid not in taken and message.date_created >= earliest and _is(outgoing, message):
                        found[message.date_created] = message
                # Newest first, but not strictly: only a page that is too old from end to end ends the search.
                page = page.next_page() if any(message.date_created >= earliest for message in messages) else None
            return _receipt(found[min(found)]) if found else None
        except (httpx.TransportError, TwilioException, *UNPARSABLE) as error:
            raise SendLater(f"Twilio cannot be asked: {type(error).__name__}") from None

    def fetch(self, url: str, prepared: object, into: IO[bytes], *, limit: int, timeout: float) -> None:
        media.fetch(url, cast(Prepared, prepared).credentials, into, limit=limit, timeout=timeout)

    def erase(self, prepared: object, external_id: str, *, timeout: float) -> None:
        """The files first: they are resources of their own, which a message that is gone no longer names.

        https://www.twilio.com/docs/messaging/api/message-resource#delete-a-message-resource
        """
        message = client(cast(Prepared, prepared).credentials, Transport(timeout=timeout)).messages(external_id)
        try:
            for file in message.media.list(limit=10):
                message.media(file.sid).delete()
            message.delete()
        except (httpx.TransportError, TwilioException, *UNPARSABLE) as error:
            if not (isinstance(error, TwilioRestException) and error.status == 404):
                raise SendLater(f"Twilio cannot erase a message now: {type(error).__name__}") from None

    def forget(self, *, external_ids: Sequence[str] = (), address: str = "") -> int:
        events, _ = StatusEvent.objects.filter(external_id__in=external_ids).delete()
        return events + (quarantine.forget(address) if address else 0)

    def show_typing(self, prepared: object, external_id: str) -> None:
        """Also marks the message as read. WhatsApp only."""
        prepared = cast(Prepared, prepared)
        if prepared.medium != Medium.WHATSAPP or not external_id:
            return
        api = client(prepared.credentials, Transport(timeout=TYPING_TIMEOUT_SECONDS))
        try:
            api.messaging.v2.typing_indicator.create(channel="whatsapp", message_id=external_id)
        except (httpx.TransportError, TwilioException, *UNPARSABLE) as error:
            logger.info("no typing indicator: %s", type(error).__name__)


def _parameters(outgoing: OutgoingMessage, prepared: Prepared) -> dict[str, object]:
    # By its Messaging Service, Twilio keeps writing to a contact from the number that the contact knows.
    sender = (
        {"messaging_service_sid": prepared.messaging_service_sid}
        if prepared.messaging_service_sid
        else {"from_": to_address(outgoing.medium, outgoing.sender)}
    )
    return {
        "to": to_address(outgoing.medium, outgoing.recipient),
        "status_callback": _callback(outgoing),
        **sender,
        **_content(outgoing),
        **_validity(outgoing),
    }


def _callback(outgoing: OutgoingMessage) -> str:
    """Carries our id, so that it tells what became of a send whose answer was lost, and which send of the message."""
    which = f"?m={outgoing.message_id}" + (f".{outgoing.resend}" if outgoing.resend else "")
    return status_url(which)


def _content(outgoing: OutgoingMessage) -> dict[str, object]:
    if outgoing.template:
        variables = {"content_variables": json.dumps(dict(outgoing.variables))} if outgoing.variables else {}
        return {"content_sid": outgoing.template, **variables}
    text = {"body": outgoing.text} if outgoing.text else {}
    media = {"media_url": list(outgoing.media_urls)} if outgoing.media_urls else {}
    return {**text, **media}


def _validity(outgoing: OutgoingMessage) -> dict[str, object]:
    """Whole seconds, from 1 on: what has not left by then ends as failed, with 30036."""
    if outgoing.valid_for is None or outgoing.valid_for >= LONGEST_VALIDITY:
        return {}
    return {"validity_period": max(int(outgoing.valid_for.total_seconds()), 1)}


def _receipt(message: Any) -> Receipt:
    if not isinstance(message.sid, str) or not message.sid:
        raise ValueError("an answer without a SID")
    return Receipt(message.sid, DELIVERY_STATUSES.get(message.status, DeliveryStatus.QUEUED))


def _is(outgoing: OutgoingMessage, message: Any) -> bool:
    """A template's text is filled in by Twilio, whose list may have it later, or in other white space."""
    if not message.direction.startswith("outbound"):
        return False
    theirs, ours = (message.body or ""), outgoing.text
    if outgoing.template:
        return not theirs or theirs.split() == ours.split()
    return bool(theirs.strip() == ours.strip())


def _refusal(error: Any, answer: httpx.Response, outgoing: OutgoingMessage) -> Exception:
    """What an error answer means for the message. Its words may name the recipient, or quote: they are masked."""
    code = error.code if error.code != answer.status_code else None  # the SDK puts the status where no code came
    words = getattr(error, "detail", None) or getattr(error, "title", None) or error.msg
    reason = mask(words, outgoing.recipient, outgoing.text, *outgoing.variables.values())
    named = f"{code or answer.status_code}: {reason}"
    match remedy_for(answer.status_code, code):
        case Remedy.RECONCILE:
            return OutcomeUnknown(named)
        case Remedy.RETRY | Remedy.RESEND_LATER:
            return SendLater(named, after=_retry_after(answer))
        case Remedy.RETRY_LATER:
            return SendLater(named, after=UNTIL_QUEUE_DRAINS)
        case remedy:
            return NotSent(str(code or answer.status_code), reason, CONSEQUENCES[remedy])


def _retry_after(answer: httpx.Response) -> timedelta | None:
    """RFC 9110, 10.2.3: seconds, or a date. None where neither can be read."""
    value = answer.headers.get("Retry-After", "")
    try:
        after = timedelta(seconds=int(value)) if value.isdecimal() else parsedate_to_datetime(value) - timezone.now()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(after, SHORTEST_RETRY_AFTER), LONGEST_RETRY_AFTER)
