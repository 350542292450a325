"""What is kept of an exception: its class, its way, and the words of its programmer. Never the data in them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from queueing.errors import Discard
from queueing.masking import mask, traceback_of, words_of

BODY = "meu CPF mudou, ligue para a Joana Canário"


def caught(action: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as raised:  # noqa: PT011  (any)
        action()
    return raised.value


def in_an_f_string(body: str) -> None:
    raise ValueError(f"the text {body!r} cannot be sent to {body}: too long")


def in_a_format_string(body: str) -> None:
    raise ValueError("the text %(body)s is not one of {names}".replace("%(body)s", body))


def as_the_whole(body: str) -> None:
    raise KeyError(body)


def in_a_class(body: str) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            return f"odd: {body}"

    raise Odd


def handled(body: str) -> None:
    try:
        in_an_f_string(body)
    except ValueError as error:
        raise RuntimeError("it was handled badly") from error


def in_two_at_once(body: str) -> None:
    try:
        as_the_whole(body)
    except KeyError:
        int(body)


@pytest.mark.parametrize(
    ("raises", "words"),
    [
        (in_an_f_string, "the text ••• cannot be sent to •••: too long"),
        (in_a_format_string, "the text ••• is not one of •••"),
        (as_the_whole, "•••"),
        (in_a_class, "•••"),
        (handled, "it was handled badly"),
        (in_two_at_once, "•••"),
        (int, "•••"),
        (json.loads, "Expecting value•••"),
    ],
)
def test_only_the_words_of_the_source_are_kept(raises: Callable[[str], object], words: str) -> None:
    error = caught(lambda: raises(BODY))
    assert words_of(error) == words
    kept = words_of(error) + traceback_of(error)
    assert not any(word in kept for word in BODY.replace(",", "").split() if len(word) > 3), kept


def test_a_traceback_shows_the_way_and_the_causes_first() -> None:
    kept = traceback_of(caught(lambda: handled(BODY)))
    first, second = kept.split("\nThe above exception")
    assert "in in_an_f_string" in first
    assert "ValueError: the text •••" in first
    assert second.rstrip().endswith("RuntimeError: it was handled badly")
    assert 'raise RuntimeError("it was handled badly") from error' in second


def test_a_cause_that_was_set_aside_is_left_out() -> None:
    def fail() -> None:
        try:
            as_the_whole(BODY)
        except KeyError:
            raise RuntimeError("elsewhere") from None

    assert "KeyError" not in traceback_of(caught(fail))


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError(), ValueError()
    first.__context__, second.__context__ = second, first
    assert traceback_of(first).count("ValueError") == 2


def test_short_pieces_of_source_uncover_nothing() -> None:
    def fail(body: str) -> None:
        raise ValueError("a" + body + "Jo")

    assert words_of(caught(lambda: fail(BODY))) == "•••"


def test_what_is_written_for_operators_is_kept_but_for_numbers() -> None:
    assert words_of(Discard("no account is tied to +15550107777")) == "no account is tied to •••"


def test_a_mask_hides_what_it_is_told_to() -> None:
    assert mask("US.13 wrote: hello", "US.13", "", "hello") == "••• wrote: •••"
