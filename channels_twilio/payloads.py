"""Twilio's words, and the only place that knows them: what its webhooks carry becomes our own dataclasses here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from conversations.channels import Remedy
from conversations.inbox import InboundMedia, InboundMessage, Keyword
from conversations.models import DeliveryStatus, Medium

from .error_codes import consequence_of

DELIVERY_STATUSES = {
    "accepted": DeliveryStatus.QUEUED,
    "scheduled": DeliveryStatus.QUEUED,
    "queued": DeliveryStatus.QUEUED,
    "sending": DeliveryStatus.QUEUED,  # by Twilio; our own `sending` is the intent to ask Twilio
    "sent": DeliveryStatus.SENT,
    "partially_delivered": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "undelivered": DeliveryStatus.UNDELIVERED,
    "failed": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.CANCELED,
}

OPT_OUT_TYPES = {"STOP": Keyword.STOP, "START": Keyword.START, "HELP": Keyword.HELP}
# Twilio's default keywords. YES, INFO and HELP are left out: people say them to the assistant, and where Twilio acts on
# HELP by itself it still passes it on.
KEYWORDS = dict.fromkeys(
    ("STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"), Keyword.STOP
) | dict.fromkeys(("START", "UNSTOP"), Keyword.START)

MEDIA_KINDS = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "text/vcard": "contacts",
    "text/x-vcard": "contacts",
}
LOCATION = {"Latitude": "latitude", "Longitude": "longitude", "Address": "address", "Label": "label"}
BUTTON = {"ButtonText": "text", "ButtonPayload": "payload", "ListTitle": "text", "ListId": "payload"}
REFERRAL = {
    "ReferralBody": "text",
    "ReferralHeadline": "headline",
    "ReferralSourceType": "source_type",
    "ReferralSourceId": "source_id",
    "ReferralSourceUrl": "source_url",
    "ReferralMediaContentType": "media_type",
    "ReferralMediaUrl": "media_url",
    "ReferralCtwaClid": "click_id",
}


class Unreadable(Exception):
    """A signed request that names no message of a kind that we know. The text is shown in Twilio's debugger."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a contact wrote to."""

    medium: Medium
    address: str  # a number in E.164, or a short code
    messaging_service_sid: str


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A status callback."""

    external_id: str
    message_id: int | None
    resend: int  # which send of the message
    word: str  # Twilio's
    status: DeliveryStatus | None  # ours; None for words that say nothing about a delivery, or that are new
    error_code: str
    error_reason: str
    remedy: Remedy | None  # what a failure asks for
    raw: dict[str, Any]


def to_inbound(params: QueryDict) -> InboundMessage:
    """The message in the parameters of an inbound webhook. Raises Unreadable."""
    value = _without_nul(params)
    _, sender = _address(value, "From")
    if not 0 < len(value.get("MessageSid", "")) <= 64:
        raise Unreadable("MessageSid is missing or too long.")
    media = tuple(
        InboundMedia(content_type=value.get(f"MediaContentType{n}", "")[:100], source_url=value[f"MediaUrl{n}"][:1000])
        for n in range(_count(value.get("NumMedia", "")))
        if f"MediaUrl{n}" in value
    )
    return InboundMessage(
        external_id=value["MessageSid"],
        sender=sender,
        sender_name=value.get("ProfileName", "")[:200],
        text=value.get("Body", ""),
        kind=_kind(value, media),
        details=_details(value),
        media=media,
        raw=_raw(params),
        keyword=_keyword(value),
        quoted=value.get("OriginalRepliedMessageSid", ""),
    )


def listed_params(message: Any, files: Sequence[tuple[str, str]]) -> QueryDict:
    """What a webhook would have carried of a message in the API's list, as far as the list knows it.

    Args:
        message: the SDK's MessageInstance.
        files: pairs of content type and URL.
    """
    params = QueryDict(mutable=True)
    params.update(
        {
            "MessageSid": message.sid,
            "MessagingServiceSid": message.messaging_service_sid or "",
            "From": message.from_ or "",
            "To": message.to or "",
            "Body": message.body or "",
            "NumMedia": str(len(files)),
        }
    )
    for n, (content_type, url) in enumerate(files):
        params.update({f"MediaContentType{n}": content_type, f"MediaUrl{n}": url})
    return params


def to_destination(params: QueryDict) -> Destination:
    """Which of our addresses an inbound webhook is for. Raises Unreadable."""
    value = _without_nul(params)
    medium, address = _address(value, "To")
    return Destination(medium, address, value.get("MessagingServiceSid", "")[:34])


def to_status(params: QueryDict, message_id: str) -> StatusReport:
    """The news in the parameters of a status callback. Takes whatever comes: a callback is not repeated.

    Args:
        message_id: what the callback URL carried as our message's id; behind a point, which send of it this is.
    """
    value = _without_nul(params)
    word = value.get("MessageStatus") or value.get("SmsStatus", "")
    status, error_code = DELIVERY_STATUSES.get(word.lower()), value.get("ErrorCode", "")[:20]
    named, _, resend = message_id.partition(".")
    return StatusReport(
        external_id=(value.get("MessageSid") or value.get("SmsSid", ""))[:34],
        message_id=_number(named),
        resend=_number(resend) or 0,
        word=word[:30],
        status=status,
        error_code=error_code,
        error_reason=value.get("ErrorMessage") or value.get("ChannelStatusMessage", ""),
        remedy=consequence_of(error_code) if status in (DeliveryStatus.FAILED, DeliveryStatus.UNDELIVERED) else None,
        raw=_raw(params),
    )


def to_address(medium: str, address: str) -> str:
    """An address as Twilio's API writes it."""
    return f"whatsapp:{address}" if medium == Medium.WHATSAPP else address


def _without_nul(params: QueryDict) -> dict[str, str]:
    """The last value of each name, without NUL: PostgreSQL refuses it. It is signed, so this comes after the check."""
    return {name: str(params[name]).replace("\0", "") for name in params}


def _raw(params: QueryDict) -> dict[str, Any]:
    """Everything that came, for inspection; a list where a name came more than once."""
    raw = {}
    for name, values in params.lists():
        kept = [str(value).replace("\0", "") for value in values]
        raw[name.replace("\0", "")] = kept[0] if len(kept) == 1 else kept
    return raw


def _address(value: dict[str, str], name: str) -> tuple[Medium, str]:
    prefix, colon, address = value.get(name, "").rpartition(":")
    if not 0 < len(address) <= 100:
        raise Unreadable(f"{name} is missing or too long.")
    if colon and prefix != "whatsapp":
        raise Unreadable(f"{name} is on a channel other than WhatsApp and SMS.")
    return Medium.WHATSAPP if colon else Medium.SMS, address


def _number(digits: str) -> int | None:
    """What a database takes as an id."""
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None


def _count(number: str) -> int:
    return min(int(number), 100) if number.isascii() and number.isdecimal() and len(number) < 4 else 0


def _kind(value: dict[str, str], media: tuple[InboundMedia, ...]) -> str:
    """WhatsApp names it, with the words that we use too; an MMS is what its first file is."""
    if "MessageType" in value:
        return value["MessageType"].lower()[:20] or "text"
    if media:
        content_type = media[0].content_type.partition(";")[0].strip().lower()
        return MEDIA_KINDS.get(content_type) or MEDIA_KINDS.get(content_type.partition("/")[0], "document")
    return "text"


def _details(value: dict[str, str]) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for name, words in (("location", LOCATION), ("button", BUTTON), ("referral", REFERRAL)):
        found = {ours: value[theirs] for theirs, ours in words.items() if value.get(theirs)}
        if found:
            details[name] = found
    if quoted := value.get("OriginalRepliedMessageSid"):
        sender = value.get("OriginalRepliedMessageSender", "").rpartition(":")[2]
        details["quoted"] = {"external_id": quoted, "sender": sender}
    for name, ours in (("Forwarded", "forwarded"), ("FrequentlyForwarded", "frequently_forwarded")):
        if value.get(name) == "true":
            details[ours] = True
    return details


def _keyword(value: dict[str, str]) -> Keyword | None:
    """What Twilio says it understood wins over what the text looks like."""
    if "OptOutType" in value:
        return OPT_OUT_TYPES.get(value["OptOutType"].upper())
    return KEYWORDS.get(value.get("Body", "").strip().upper())
