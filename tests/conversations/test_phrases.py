"""A phrase counts only as a whole message; how it is written makes no difference."""

from __future__ import annotations

import pytest

from conversations.phrases import is_one_of

PHRASES = "tchau\naté logo\n\nthat's all\nGrüße"


@pytest.mark.parametrize(
    "text", ["tchau", "Tchau!", " TCHAU 👋🏽 ", "ate logo", "ATÉ  LOGO...", "até\nlogo", "that\u2019s all", "GRÜSSE"]
)
def test_it_is_known_however_it_is_written(text: str) -> None:
    assert is_one_of(text, PHRASES)


@pytest.mark.parametrize("text", ["", "👋", "...", "tchau amanhã eu volto", "até", "obrigado", "tchaulogo"])
def test_nothing_else_is(text: str) -> None:
    assert not is_one_of(text, PHRASES)


def test_where_nothing_is_listed_nothing_is_known() -> None:
    assert not is_one_of("tchau", "")
    assert not is_one_of("👋", "👋\n")


def test_marks_that_carry_meaning_are_kept() -> None:
    assert not is_one_of("की", "का")
