from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from conversations.splitting import split_text

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
FLAG = "🇧🇷"
ACCENTED = "e\u0301\u0323"

pieces = st.sampled_from([" ", "\n", "\n\n", ". ", "!", FAMILY, FLAG, ACCENTED]) | st.text(max_size=8)
texts = st.lists(pieces, max_size=60).map("".join)


@given(text=texts, limit=st.integers(1, 60))
def test_no_part_is_empty_or_too_long_and_no_word_is_lost(text, limit):
    parts = split_text(text, limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@given(words=st.lists(st.text("abcé.,!?", min_size=1, max_size=10), min_size=1, max_size=60), limit=st.integers(10, 60))
def test_a_word_that_fits_is_never_cut(words, limit):
    assert " ".join(split_text(" ".join(words), limit)).split() == words


@given(st.lists(st.sampled_from([FAMILY, FLAG, ACCENTED, "a", "👋🏽"]), min_size=1, max_size=60), st.integers(8, 30))
def test_a_grapheme_is_never_cut(graphemes, limit):
    parts = split_text("".join(graphemes), limit)
    assert [found for part in parts for found in regex.findall(r"\X", part)] == regex.findall(r"\X", "".join(graphemes))


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("", 10, []),
        (" \n ", 10, []),
        ("  short  ", 10, ["short"]),
        ("exactly 10", 10, ["exactly 10"]),
        ("One two.\n\nThree four. Five.", 20, ["One two.", "Three four. Five."]),
        ("First sentence. Second sentence here.", 30, ["First sentence.", "Second sentence here."]),
        ("She said “yes.” Then she left us.", 25, ["She said “yes.”", "Then she left us."]),
        ("pi is 3.1415 and no more", 14, ["pi is 3.1415", "and no more"]),
        ("A. long-sentence-without-a-stop here", 30, ["A.", "long-sentence-without-a-stop", "here"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        (FAMILY * 3, 10, [FAMILY] * 3),
        ("Z" + "\u0301" * 20, 10, ["Z" + "\u0301" * 9, "\u0301" * 10, "\u0301"]),
    ],
)  # fmt: skip
def test_the_best_border_is_taken(text, limit, parts):
    assert split_text(text, limit) == parts


@pytest.mark.timeout(5)
def test_a_very_long_text_takes_no_time():
    assert len(split_text("word " * 40_000 + "x" * 5_000, 1600)) == 129
