"""Keeps what people write, and who they are, out of what is kept and logged for operators.

What an exception says is its programmer's words with data filled in, and the data may be a message or a name. So only
the words are kept: those that stand in the source of the function that raised it. Everything else is blotted out, known
to be harmless or not. An exception whose text is written for operators is kept whole; its class says so.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator

MAX_CHARACTERS = 20_000
HIDDEN = "•••"
SHORTEST_WORDS = 3  # characters: shorter pieces of source would uncover letters of the data

_PHONE_NUMBER = re.compile(r"\+?\d(?:[\s().-]?\d){7,14}(?!\d)")
_FIELD = re.compile(r"%(?:\(\w*\))?[-#0 +]*[\d.*]*[a-zA-Z]|\{[^{}]*\}")  # where a format string takes its data
_CAUSED = "\nThe above exception was the direct cause of the following one, or was being handled when it came:\n\n"


def mask(text: str, *secrets: str) -> str:
    """`text` with what looks like a phone number (8 to 15 digits, E.164) blotted out, and cut to 20,000 characters.

    What a database cannot store, NUL and lone surrogates, is left out or replaced.

    Args:
        secrets: what else is not to be seen in it.
    """
    for secret in filter(None, secrets):
        text = text.replace(secret, HIDDEN)
    storable = text.replace("\x00", "").encode(errors="replace").decode()
    return _PHONE_NUMBER.sub(HIDDEN, storable)[:MAX_CHARACTERS]


def words_of(error: BaseException) -> str:
    """What the exception says, without the data in it. Never raises, whatever its `__str__` does."""
    said = str(traceback.TracebackException.from_exception(error, limit=0, lookup_lines=False))
    return mask(said if getattr(error, "is_for_operators", False) else _as_written(said, error))


def traceback_of(error: BaseException) -> str:
    """The exception with those that led to it, as Python shows them, without the data in what they say."""
    return mask(_CAUSED.join(reversed([_one(each) for each in _chain(error)])))


def _as_written(said: str, error: BaseException) -> str:
    words = sorted(_source_words(error), key=len, reverse=True)
    if not words:
        return HIDDEN if said else ""
    parts = re.split(f"({'|'.join(map(re.escape, words))})", said)
    return "".join(part if n % 2 or not re.search(r"\w", part) else HIDDEN for n, part in enumerate(parts))


def _source_words(error: BaseException) -> set[str]:
    """The texts in the source of the function that raised it, apart at the places where data goes."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    texts = [text for text in frames[-1].f_code.co_consts if isinstance(text, str)] if frames else []
    words = {words for text in texts for words in _FIELD.split(text)}
    return {each for each in words if len(each.strip()) >= SHORTEST_WORDS}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """From the last exception to the first. Chains may be circles."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _one(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{frames}{type(error).__name__}: {words_of(error)}\n"
