"""The assistant that needs no model: it quotes the workspace, or says that it knows nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.conf import settings

from conversations.assistants import Question, get_assistant
from conversations.assistants.offline import OfflineAssistant

HOURS = ("Opening hours", "Monday to Friday from 9am to 6pm, Saturday until 1pm.")
DELIVERY = ("Delivery", "We deliver within the city on weekdays.")
QUESTION = Question(
    workspace_id=1,
    workspace_name="Corner Shop",
    instructions="",
    locale="en",
    contact_name="Ana",
    history=(),
    texts=(),
    knowledge=(HOURS, DELIVERY),
)


def answer(*texts: str, knowledge: tuple[tuple[str, str], ...] = QUESTION.knowledge, locale: str = "en") -> str:
    reply = OfflineAssistant().reply(replace(QUESTION, texts=texts, knowledge=knowledge, locale=locale), timeout=1)
    assert not reply.handoff
    return reply.text


def test_it_is_the_default() -> None:
    assert isinstance(get_assistant(settings.AI_MODEL), OfflineAssistant)


def test_the_entry_that_fits_is_quoted_word_for_word() -> None:
    assert (
        answer("what are your opening hours on saturday?") == f"This is what I found about “Opening hours”:\n{HOURS[1]}"
    )


def test_another_form_of_a_word_of_the_entry_is_enough() -> None:
    assert DELIVERY[1] in answer("do you do deliveries?")


def test_when_nothing_was_found_it_says_so_and_offers_a_person() -> None:
    text = answer("do you sell zeppelins?", knowledge=())
    assert "found nothing" in text
    assert "“human”" in text


def test_an_entry_that_does_not_fit_is_not_passed_off_as_an_answer() -> None:
    assert "found nothing" in answer("do you sell zeppelins?")


def test_one_reply_covers_every_question_of_a_burst() -> None:
    text = answer("hello", "when do you open?", "and do you deliver?")
    assert text.index(HOURS[1]) < text.index(DELIVERY[1])
    assert "Hello" not in text
    assert "found nothing" not in text


def test_the_same_entry_is_quoted_once() -> None:
    assert answer("opening hours?", "are you open on saturday").count(HOURS[1]) == 1


def test_what_is_left_of_a_burst_is_admitted() -> None:
    text = answer("when do you open?", "do you sell zeppelins?")
    assert HOURS[1] in text
    assert "About the rest I found nothing" in text


@pytest.mark.parametrize("text", ["Hi!", "hello there 👋", "Good morning", "Oi, tudo bem?", "Olá", "BOA TARDE"])
def test_a_greeting_is_greeted(text: str) -> None:
    assert "assistant of Corner Shop" in answer(text)


@pytest.mark.parametrize("text", ["thanks!", "ok, thank you so much", "Muito obrigada"])
def test_thanks_are_taken(text: str) -> None:
    assert answer(text) == "You are welcome."


@pytest.mark.parametrize(
    "text",
    [
        "human", "I want to talk to a HUMAN!", "can I speak with a real person", "let me talk to someone",
        "Representative", "quero falar com um atendente", "posso falar com uma pessoa?", "falar com alguém", "humano",
        "pessoa",
    ],
)  # fmt: skip
def test_who_asks_for_a_person_gets_one(text: str) -> None:
    reply = OfflineAssistant().reply(replace(QUESTION, texts=("opening hours?", text)), timeout=1)
    assert reply.handoff
    assert reply.handoff_reason
    assert "person" in reply.text


@pytest.mark.parametrize(
    "text", ["what is the price per person?", "quanto custa por pessoa", "humanity", "opening reagents"]
)
def test_who_merely_mentions_people_does_not(text: str) -> None:
    assert not OfflineAssistant().reply(replace(QUESTION, texts=(text,)), timeout=1).handoff


@pytest.mark.parametrize("text", ["", "👋", "?", "\x00", "%s %(title)s {0}", "🎉" * 1600])
def test_odd_text_gets_an_honest_answer(text: str) -> None:
    assert "found nothing" in answer(text)


def test_text_with_percent_signs_is_quoted_as_it_is() -> None:
    assert answer("discount", knowledge=(("Discount 50%", "100 %s off %(title)s"),)).endswith("100 %s off %(title)s")


def test_a_language_without_translation_is_answered_in_english() -> None:
    assert "found nothing" in answer("zzz", locale="xx")
