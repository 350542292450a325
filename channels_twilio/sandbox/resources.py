"""Messages, media and pages as Twilio's API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode

from channels_twilio.segments import count_segments

from .records import Media, Message
from .wire import Form

API_VERSION = "2010-04-01"
_ERROR_MESSAGES = {
    30003: "Unreachable destination handset",
    30036: "Validity Period Expired",
    63016: "Failed to send freeform message because you are outside the allowed window.",
    63018: "Rate limit exceeded for Channel",
}


def messages_uri(account_sid: str) -> str:
    return f"/{API_VERSION}/Accounts/{account_sid}/Messages.json"


def message_json(message: Message, account_sid: str) -> dict[str, Any]:
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{message.sid}"
    waiting_for_sender = message.status == "accepted"  # a messaging service has not chosen one yet
    return {
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": _rfc_2822(message.created_at),
        "date_sent": _rfc_2822(message.sent_at),
        "date_updated": _rfc_2822(message.updated_at),
        "direction": message.direction,
        "error_code": message.error_code,
        "error_message": _ERROR_MESSAGES.get(message.error_code) if message.error_code else None,
        "from": None if waiting_for_sender else message.sender,
        "messaging_service_sid": message.messaging_service_sid,
        "num_media": str(message.num_media),
        "num_segments": "0" if waiting_for_sender else str(count_segments(message.body)),
        "price": None,
        "price_unit": None,
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.recipient,
        "uri": f"{uri}.json",
    }


def media_json(media: Media, account_sid: str) -> dict[str, Any]:
    created = _rfc_2822(media.created_at)
    return {
        "account_sid": account_sid,
        "content_type": media.content_type,
        "date_created": created,
        "date_updated": created,
        "parent_sid": media.message_sid,
        "sid": media.sid,
        "uri": f"/{API_VERSION}/Accounts/{account_sid}/Messages/{media.message_sid}/Media/{media.sid}.json",
    }


def page_json(
    uri: str, query: Form, key: str, records: Sequence[dict[str, Any]], *, page: int, size: int, more: bool
) -> dict[str, Any]:
    """One page. The next one is anchored to this one's last record, so what comes in meanwhile moves nothing."""
    kept = [(name, value) for name, value in query.pairs if name not in ("Page", "PageSize", "PageToken")]

    def page_uri(number: int, token: str = "") -> str:
        paging = [("PageSize", str(size)), ("Page", str(number))] + ([("PageToken", token)] if token else [])
        return f"{uri}?{urlencode(kept + paging)}"

    start = page * size
    return {
        key: records,
        "end": start + max(len(records) - 1, 0),
        "first_page_uri": page_uri(0),
        "next_page_uri": page_uri(page + 1, "PA" + records[-1]["sid"]) if more else None,
        "page": page,
        "page_size": size,
        "previous_page_uri": page_uri(page - 1) if page else None,
        "start": start,
        "uri": page_uri(page),
    }


def _rfc_2822(timestamp: float | None) -> str | None:
    return None if timestamp is None else formatdate(timestamp).replace("-0000", "+0000")
