"""How many SMS segments a text takes: https://www.twilio.com/docs/glossary/what-sms-character-limit."""

from __future__ import annotations

from math import ceil

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_ESCAPED = frozenset("\f^{}\\[~]|€")  # two septets each


def count_segments(text: str) -> int:
    """At least 1. GSM-7 carries 160 septets alone and 153 in parts; anything else is UCS-2: 70 and 67 code units."""
    characters = set(text)
    if characters <= _GSM7 | _GSM7_ESCAPED:
        length, alone, part = len(text) + sum(character in _GSM7_ESCAPED for character in text), 160, 153
    else:
        length, alone, part = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= alone else ceil(length / part)
