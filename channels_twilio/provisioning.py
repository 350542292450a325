"""The numbers of an account at Twilio, and where each of them sends what comes in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conversations.models import Medium

from .webhook_urls import inbound_url, status_url

MAX_NUMBERS = 1000


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the account, with what Twilio calls for it."""

    sid: str
    medium: Medium
    address: str
    calls: tuple[str | None, ...]  # for a message, when that fails, and, on WhatsApp, for a status

    @property
    def is_set(self) -> bool:
        return self.calls == _wanted(self.medium)


def _wanted(medium: Medium) -> tuple[str | None, ...]:
    """The status callback of an SMS comes with each message: a number has none for messages."""
    inbound = (inbound_url(), inbound_url())
    return (*inbound, status_url()) if medium == Medium.WHATSAPP else inbound


def numbers(api: Any) -> Iterator[Number]:
    """All of them, as Twilio has them now.

    https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
    https://www.twilio.com/docs/whatsapp/api/senders
    """
    for phone in api.incoming_phone_numbers.list(limit=MAX_NUMBERS):
        yield Number(phone.sid, Medium.SMS, phone.phone_number, (phone.sms_url, phone.sms_fallback_url))
    for sender in api.messaging.v2.channels_senders.list(channel="whatsapp", limit=MAX_NUMBERS):
        hook = sender.webhook or {}
        calls = tuple(hook.get(name) for name in ("callback_url", "fallback_url", "status_callback_url"))
        yield Number(sender.sid, Medium.WHATSAPP, sender.sender_id.removeprefix("whatsapp:"), calls)


def set_webhooks(api: Any, number: Number) -> None:
    """Let Twilio call us for this number."""
    if number.medium == Medium.SMS:
        api.incoming_phone_numbers(number.sid).update(
            sms_url=inbound_url(), sms_method="POST", sms_fallback_url=inbound_url(), sms_fallback_method="POST"
        )
        return
    senders = api.messaging.v2.channels_senders
    webhook = senders.MessagingV2ChannelsSenderWebhook(
        {
            "callback_url": inbound_url(),
            "callback_method": "POST",
            "fallback_url": inbound_url(),
            "fallback_method": "POST",
            "status_callback_url": status_url(),
            "status_callback_method": "POST",
        }
    )
    sender = senders(number.sid)
    sender.update(sender.MessagingV2ChannelsSenderRequestsUpdate({"webhook": webhook}))


def set_service_webhooks(api: Any, service_sid: str) -> None:
    """A messaging service decides for all of its numbers: https://www.twilio.com/docs/messaging/api/service-resource"""
    api.messaging.v1.services(service_sid).update(
        inbound_request_url=inbound_url(),
        inbound_method="POST",
        fallback_url=inbound_url(),
        fallback_method="POST",
        status_callback=status_url(),
        use_inbound_webhook_on_number=False,
    )
