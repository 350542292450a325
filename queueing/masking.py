"""Keeps personal data out of what is kept for operators."""

from __future__ import annotations

import re

MAX_CHARACTERS = 20_000

_PHONE_NUMBER = re.compile(r"\+?\d(?:[\s().-]?\d){7,14}(?!\d)")


def mask(text: str) -> str:
    """`text` with what looks like a phone number (8 to 15 digits, E.164) blotted out, without NUL, and cut to 20,000 characters."""
    return _PHONE_NUMBER.sub("•••", text.replace("\x00", ""))[:MAX_CHARACTERS]
