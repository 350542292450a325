"""Tells whether a message is one of the phrases that a workspace lists, and nothing else."""

from __future__ import annotations

from unicodedata import category, combining, normalize


def is_one_of(text: str, phrases: str) -> bool:
    """Whether `text` as a whole is one of the phrases. Case, accents, punctuation and emoji make no difference.

    Args:
        phrases: one in each line.
    """
    said = _bare(text)
    return bool(said) and said in map(_bare, phrases.splitlines())


def _bare(text: str) -> str:
    """Only letters, digits and single spaces. The marks of scripts that do not write without them stay."""
    letters = (c for c in normalize("NFKD", text.casefold()) if not combining(c))
    return " ".join("".join(c if category(c)[0] in "LNM" else " " for c in letters).split())
