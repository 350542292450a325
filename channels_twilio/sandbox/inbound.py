"""A contact writes: which keywords Twilio heeds, and what it tells the webhook."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from channels_twilio.segments import count_segments

from .addresses import is_whatsapp, number_of
from .records import Media, Message

_KEYWORDS = {
    "STOP": {"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"},
    "START": {"START", "UNSTOP"},
    "HELP": {"HELP", "INFO"},
}

# Twilio's own words, in the language in which it sends them. They are no text of the product.
CONFIRMATIONS = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


def opt_out_type(body: str) -> str:
    """STOP, START, HELP, or empty: a keyword is the whole message, in any case."""
    word = body.strip().upper()
    return next((kind for kind, words in _KEYWORDS.items() if word in words), "")


def parameters(
    message: Message, media: Sequence[Media], *, name: str, account_sid: str, base_url: str, extra: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What the webhook is told. No order is promised, as with Twilio: the signature sorts.

    Args:
        name: the contact's profile name on WhatsApp.
        base_url: where the media can be fetched.
        extra: further parameters, such as Latitude or ButtonText; they replace one of the same name.
    """
    given = dict(_medium_parameters(message, media, name, extra))
    given |= {
        "SmsMessageSid": message.sid,
        "SmsSid": message.sid,
        "MessageSid": message.sid,
        "AccountSid": account_sid,
        "SmsStatus": "received",
        "Body": message.body,
        "From": message.sender,
        "To": message.recipient,
        "NumSegments": str(count_segments(message.body)),
        "NumMedia": str(len(media)),
        "ApiVersion": "2010-04-01",
    }
    for number, item in enumerate(media):
        given[f"MediaContentType{number}"] = item.content_type
        given[f"MediaUrl{number}"] = (
            f"{base_url}/2010-04-01/Accounts/{account_sid}/Messages/{message.sid}/Media/{item.sid}"
        )
    if kind := opt_out_type(message.body):
        given["OptOutType"] = kind
    yield from (given | dict(extra)).items()


def _medium_parameters(
    message: Message, media: Sequence[Media], name: str, extra: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    if not is_whatsapp(message.sender):
        for end in ("To", "From"):  # blank ones are sent, and signed, too
            yield from (
                (f"{end}{part}", "US" if part == "Country" else "") for part in ("Country", "State", "City", "Zip")
            )
        return
    wa_id = number_of(message.sender).removeprefix("+")
    context = {"ProfileName": name, "WaId": wa_id}
    yield "ProfileName", name
    yield "WaId", wa_id
    yield "MessageType", _message_type(media, extra)
    yield "ReferralNumMedia", "0"
    yield "ExternalUserId", f"whatsapp:US.{int(hashlib.sha256(wa_id.encode()).hexdigest(), 16) % 10**17:017}"
    yield (
        "ChannelMetadata",
        json.dumps({"type": "whatsapp", "data": {"context": context}}, separators=(",", ":"), ensure_ascii=False),
    )


def _message_type(media: Sequence[Media], extra: Mapping[str, str]) -> str:
    if media:
        content_type = media[0].content_type
        if content_type == "text/vcard":
            return "contacts"
        kind = content_type.partition("/")[0]
        return kind if kind in ("image", "audio", "video") else "document"
    if "Latitude" in extra:
        return "location"
    return "interactive" if "ButtonText" in extra else "text"
