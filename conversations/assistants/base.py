"""What every assistant takes and gives."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from queueing.errors import ForOperators

HANDOFF_TEXT = _("I am asking a person to help you. They will answer you here.")


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of the conversation."""

    author: str  # an Author
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """Everything an assistant may know, read from the database before it is called."""

    workspace_id: int
    workspace_name: str
    instructions: str
    locale: str
    contact_name: str
    history: tuple[Turn, ...]  # oldest first, without `texts`
    texts: tuple[str, ...]  # the unanswered messages, oldest first
    knowledge: tuple[tuple[str, str], ...]  # (title, body) found for `texts`, best first


@dataclass(frozen=True, slots=True)
class Reply:
    """What the assistant wants to say; `handoff` asks for a person as well."""

    text: str
    handoff: bool = False
    handoff_reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""


class AssistantError(ForOperators, Exception):
    """The model refused or answered nothing usable; another try will not help."""


class AssistantUnavailable(ForOperators, Exception):
    """The model could not be reached or is overloaded; another try may help."""

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Assistant(ABC):
    """Called without a database connection; answers within `timeout` seconds or raises."""

    @abstractmethod
    def reply(self, question: Question, *, timeout: float) -> Reply:
        """Answer all of `question.texts` with one reply.

        Raises AssistantUnavailable (transient) or AssistantError (permanent).
        """


@cache
def _assistant(model: str) -> Assistant:
    if model == "offline":
        from .offline import OfflineAssistant

        return OfflineAssistant()
    from .model import ModelAssistant  # imports pydantic-ai: two seconds and 70 MiB that only a worker should pay

    return ModelAssistant(model)


os.register_at_fork(after_in_child=_assistant.cache_clear)  # a model's open connections belong to the parent


def get_assistant() -> Assistant:
    """The assistant that `settings.AI_MODEL` names."""
    return _assistant(settings.AI_MODEL)
