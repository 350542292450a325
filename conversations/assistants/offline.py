"""Answers without a model: quotes what was found in the workspace's knowledge, and says so when nothing was."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from conversations.knowledge import fits, terms, words

from .base import HANDOFF_TEXT, UNMETERED, Assistant, Meter, Question, Reply, Turn

# Words of a contact, in English and Portuguese, small and without accents.
PERSON = {"human", "humans", "agent", "representative", "operator", "attendant"}
PERSON |= {"humano", "humana", "atendente", "atendentes"}
# These ask for a person only with a word of TALK, or alone: "a price per person" does not.
SOMEONE = {"person", "people", "someone", "somebody", "pessoa", "alguem"}
TALK = {"talk", "speak", "chat", "real", "falar", "fala", "conversar", "chamar"}
GREETINGS = {"hi", "hello", "hey", "there", "good", "morning", "afternoon", "evening"}
GREETINGS |= {"oi", "ola", "opa", "bom", "boa", "dia", "tarde", "noite", "tudo", "bem", "como", "vai", "e", "ai"}
THANKS = {"thanks", "thank", "you", "many", "so", "much", "very", "ok", "okay"}
THANKS |= {"obrigado", "obrigada", "muito", "valeu"}


class OfflineAssistant(Assistant):
    """The default: deterministic, and never says what the workspace has not written itself."""

    def reply(self, question: Question, *, timeout: float, meter: Meter = UNMETERED) -> Reply:
        with translation.override(question.locale):
            if any(asks_for_a_person(text) for text in question.texts):
                return Reply(
                    str(HANDOFF_TEXT), handoff=True, handoff_reason=gettext_noop("asked for a person"), model="offline"
                )
            return Reply("\n\n".join(self._paragraphs(question)), model="offline")

    def summarise(
        self, earlier: str, turns: tuple[Turn, ...], *, locale: str, timeout: float, meter: Meter = UNMETERED
    ) -> str:
        """It remembers nothing: it answers from the burst alone."""
        return earlier

    def _paragraphs(self, question: Question) -> Iterator[str]:
        """One for each entry that answers a message of the burst, one for what is left, or a greeting."""
        asked = [text for text in question.texts if not is_courtesy(text)]
        if not asked:
            yield _courtesy(question)
            return
        answers = [best_entry(text, question.knowledge) for text in asked]
        for title, body in dict.fromkeys(answer for answer in answers if answer):
            yield _("This is what I found about “%(title)s”:") % {"title": title} + f"\n{body}"
        if not any(answers):
            yield _("I am sorry, I found nothing about that. If you would like a person to help you, write “human”.")
        elif not all(answers):
            yield _("About the rest I found nothing. If you would like a person to help you, write “human”.")


def asks_for_a_person(text: str) -> bool:
    """Whether a contact asks in plain words to be answered by a human."""
    said = set(words(text))
    return bool(said & PERSON or (said & SOMEONE and said & TALK) or (said and said <= SOMEONE))


def is_courtesy(text: str) -> bool:
    """Whether `text` greets or thanks and says nothing else."""
    said = set(words(text))
    return bool(said) and said <= GREETINGS | THANKS


def best_entry(text: str, knowledge: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """The entry that shares most with one message of the burst, title words counting double; None when none does."""
    wanted = frozenset(terms(text))

    def shared(entry: tuple[str, str]) -> int:
        title, body = (words(part) for part in entry)
        return sum(2 * fits(term, title) + fits(term, body) for term in wanted)

    best = max(knowledge, key=shared, default=None)
    return best if best and shared(best) else None


def _courtesy(question: Question) -> str:
    if any(word in GREETINGS for text in question.texts for word in words(text)):
        return _("Hello! You are writing with the assistant of %(workspace)s. What would you like to know?") % {
            "workspace": question.workspace_name
        }
    return _("You are welcome.")
