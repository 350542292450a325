"""What Twilio takes for an address: `+15550100001` on SMS, `whatsapp:+15550100001` on WhatsApp."""

from __future__ import annotations

import re

WHATSAPP = "whatsapp:"

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_BUSINESS_SCOPED = re.compile(r"[A-Z]{2}\.\d+")  # a WhatsApp user who shows no number: `whatsapp:US.1349…`


def is_whatsapp(address: str) -> bool:
    return address.startswith(WHATSAPP)


def number_of(address: str) -> str:
    """The address without its channel."""
    return address.removeprefix(WHATSAPP)


def is_reachable(address: str) -> bool:
    """Whether a message can be sent to it at all."""
    number = number_of(address)
    return bool(_E164.fullmatch(number) or (is_whatsapp(address) and _BUSINESS_SCOPED.fullmatch(number)))
