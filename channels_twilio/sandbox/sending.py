"""What Twilio accepts on `POST /2010-04-01/Accounts/{sid}/Messages.json`, and how it refuses the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .addresses import is_reachable, is_whatsapp
from .content import render
from .errors import TwilioError
from .wire import Form

MAX_BODY = 1600
MAX_MEDIA = 10
MAX_VALIDITY = 36000  # seconds


@dataclass(frozen=True, slots=True)
class Order:
    """A send that Twilio accepts."""

    sender: str
    recipient: str
    body: str
    media_urls: tuple[str, ...]
    messaging_service_sid: str | None
    status_callback: str | None
    validity: float | None  # seconds that it may wait
    is_template: bool


def read_order(form: Form, senders: Sequence[str]) -> Order:
    """Raises TwilioError when Twilio would refuse it.

    Args:
        senders: the addresses that the account owns.
    """
    recipient = form.get("To")
    if not recipient:
        raise TwilioError(21604, "A 'To' phone number is required.")
    if not is_reachable(recipient):
        raise TwilioError(21211, f"The 'To' number {recipient} is not a valid phone number.")
    service = form.get("MessagingServiceSid") or None
    sender = form.get("From") or (_pick_sender(senders, recipient) if service else "")
    _check_sender(sender, recipient, senders)

    template = form.get("ContentSid")
    body = render(template, form.get("ContentVariables")) if template else form.get("Body")
    media_urls = tuple(form.get_all("MediaUrl"))
    if not body and not media_urls:
        raise TwilioError(21602, "Message body is required.")
    if len(body) > MAX_BODY:
        raise TwilioError(21617, f"The concatenated message body exceeds the {MAX_BODY} character limit")
    if len(media_urls) > MAX_MEDIA:
        raise TwilioError(21623, "Number of media files exceeds allowed limit")
    if not all(_is_url(url) for url in media_urls):
        raise TwilioError(21620, "Invalid media URL(s)")
    callback = form.get("StatusCallback") or None
    if callback and (not _is_url(callback) or "_" in (urlsplit(callback).hostname or "")):
        raise TwilioError(21609, f"The 'StatusCallback' URL {callback} is not a valid URL.")
    validity = form.number("ValidityPeriod", MAX_VALIDITY)
    if not 1 <= validity <= MAX_VALIDITY:
        raise TwilioError(20001, f"ValidityPeriod is not between 1 and {MAX_VALIDITY}")
    return Order(sender, recipient, body, media_urls, service, callback, validity, bool(template))


def _pick_sender(senders: Sequence[str], recipient: str) -> str:
    """The messaging service's choice: the account's first sender on the recipient's channel."""
    fitting = [sender for sender in senders if is_whatsapp(sender) == is_whatsapp(recipient)]
    if not fitting:
        raise TwilioError(21703, "The Messaging Service does not have a phone number available to send a message")
    return fitting[0]


def _check_sender(sender: str, recipient: str, senders: Sequence[str]) -> None:
    if not sender:
        raise TwilioError(21603, "A 'From' phone number is required.")
    if is_whatsapp(sender) != is_whatsapp(recipient):
        raise TwilioError(21910, "Invalid From and To pair. From and To should be of the same channel")
    if sender in senders:
        return
    if is_whatsapp(sender):
        raise TwilioError(63007, "Twilio could not find a Channel with the specified From address")
    raise TwilioError(
        21606,
        f"The 'From' phone number {sender} is not a valid, message-capable Twilio phone number for this destination.",
    )


def _is_url(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
