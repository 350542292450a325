"""Cuts a long text into parts that a channel takes, where a reader minds it least."""

from __future__ import annotations

import regex  # type: ignore[import-untyped]

# The best border first. A part ends before the border's white space, and the next begins after it.
_BORDERS = (
    regex.compile(r"\s*\n\s*\n\s*"),  # paragraphs
    regex.compile(r"\s*\n\s*|(?<=[\p{STerm}…][\p{Pe}\p{Pf}\"']*)\s+"),  # lines and sentences
    regex.compile(r"\s+"),  # words
)
_GRAPHEME = regex.compile(r"\X")


def split_text(text: str, limit: int) -> list[str]:
    """`text` in parts of at most `limit` code points, cut between paragraphs, sentences, words or graphemes.

    No part is empty, and no word is lost: only white space at the cuts and at both ends is dropped. A text of white
    space alone has no parts. A cut between paragraphs or sentences is not taken where it would leave a part less than
    a third full.
    """
    parts = []
    rest = text.strip()
    while len(rest) > limit:
        end, start = _cut(rest, limit)
        parts.append(rest[:end])
        rest = rest[start:]
    return [*parts, rest] if rest else parts


def _cut(text: str, limit: int) -> tuple[int, int]:
    """Where the first part of `text` ends, and where the next begins."""
    for border, least in zip(_BORDERS, (limit // 3, limit // 3, 0), strict=True):
        cut = None
        for match in border.finditer(text, 0, limit + 1):
            if least < match.start() <= limit:
                cut = match.start()
        if cut:
            return cut, len(text) - len(text[cut:].lstrip())
    ends = [match.end() for match in _GRAPHEME.finditer(text, 0, limit + 1) if match.end() <= limit]
    end = ends[-1] if ends else limit  # a single grapheme may be longer than any message
    return end, end
