"""The account's numbers and WhatsApp senders, as Twilio's API shows them: where each sends what comes in is set here.

https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
https://www.twilio.com/docs/whatsapp/api/senders
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .addresses import is_whatsapp
from .errors import TwilioError, not_found
from .wire import Form


@dataclass(slots=True)
class Number:
    """An address of the account, with what is called for it. A twin that starts again forgets what the API has set."""

    address: str
    url: str
    fallback_url: str
    status_url: str = ""

    @property
    def sid(self) -> str:
        prefix = "XE" if is_whatsapp(self.address) else "PN"
        return prefix + hashlib.sha256(self.address.encode()).hexdigest()[:32]


def find(numbers: Iterable[Number], sid: str) -> Number:
    """Raises TwilioError when the account has no such number."""
    for number in numbers:
        if number.sid == sid:
            return number
    raise not_found(sid)


def change_phone(number: Number, form: Form) -> None:
    """What is not named stays."""
    number.url = form.get("SmsUrl") or number.url
    number.fallback_url = form.get("SmsFallbackUrl") or number.fallback_url


def change_sender(number: Number, body: bytes) -> None:
    """What is not named stays. Raises TwilioError where `body` is no JSON object."""
    try:
        webhook = json.loads(body)["webhook"]
        number.url = webhook.get("callback_url", number.url)
        number.fallback_url = webhook.get("fallback_url", number.fallback_url)
        number.status_url = webhook.get("status_callback_url", number.status_url)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TwilioError(20001, "JSON with a webhook is expected") from error


def phone_json(number: Number, account_sid: str) -> dict[str, Any]:
    return {
        "sid": number.sid,
        "account_sid": account_sid,
        "friendly_name": number.address,
        "phone_number": number.address,
        "sms_url": number.url,
        "sms_method": "POST",
        "sms_fallback_url": number.fallback_url,
        "sms_fallback_method": "POST",
        "uri": f"/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers/{number.sid}.json",
    }


def sender_json(number: Number, base_url: str) -> dict[str, Any]:
    return {
        "sid": number.sid,
        "sender_id": number.address,
        "status": "ONLINE",
        "webhook": {
            "callback_url": number.url,
            "callback_method": "POST",
            "fallback_url": number.fallback_url,
            "fallback_method": "POST",
            "status_callback_url": number.status_url,
            "status_callback_method": "POST",
        },
        "url": f"{base_url}/v2/Channels/Senders/{number.sid}",
    }
