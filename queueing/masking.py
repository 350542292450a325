"""Keeps personal data out of what is kept for operators."""

from __future__ import annotations

import re

MAX_CHARACTERS = 20_000

_PHONE_NUMBER = re.compile(r"\+?\d(?:[\s().-]?\d){7,14}(?!\d)")


def mask(text: str) -> str:
    """`text` with what looks like a phone number (8 to 15 digits, E.164) blotted out, and cut to 20,000 characters.

    What a database cannot store, NUL and lone surrogates, is left out or replaced.
    """
    storable = text.replace("\x00", "").encode(errors="replace").decode()
    return _PHONE_NUMBER.sub("•••", storable)[:MAX_CHARACTERS]
