"""What every assistant takes and gives."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, Protocol

from django.utils.translation import gettext_lazy as _

from queueing.errors import ForOperators

HANDOFF_TEXT = _("I am asking a person to help you. They will answer you here.")


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of the conversation."""

    author: str  # an Author
    text: str


@dataclass(slots=True)
class Effects:
    """What the tools of one run ask for. It is done in the transaction that stores the answer, or never."""

    handoff_reason: str | None = None  # None: no person is asked for
    closes: bool = False
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model may call. Whose data it reads is settled in `run`: no argument can change it."""

    name: str
    description: str
    schema: dict[str, Any]  # JSON Schema of an object
    run: Callable[[dict[str, Any], Effects], str]  # what the model is told of it
    answers: bool = False  # whether the model has to read what it is told before it can go on


def _hand_off(arguments: dict[str, Any], effects: Effects) -> str:
    """A reason that is badly formed does not cost the handoff."""
    effects.handoff_reason = storable(str(arguments.get("reason", "")))[:300]
    return "A person will go on."


HAND_OFF = Tool(
    name="hand_off",
    description="Give this conversation to a person of the team, who will answer instead of you from now on.",
    schema={
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "Why, in a few words, for the team."}},
        "required": ["reason"],
        "additionalProperties": False,
    },
    run=_hand_off,
)


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
    language: str = ""  # to answer in; empty: the contact's own
    temperature: float | None = None  # None: as the model has it
    summary: str = ""  # of what was said before `history`
    facts: tuple[tuple[str, str], ...] = ()  # (name, value) remembered about the contact
    tools: tuple[Tool, ...] = (HAND_OFF,)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the assistant wants to say; `handoff` asks for a person as well."""

    text: str
    handoff: bool = False
    handoff_reason: str = ""
    closes: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""


class Meter(Protocol):
    """Asked before each request to a model, and told after it what it took."""

    def reserve(self, model: str, *, input_tokens: int, output_tokens: int) -> int:
        """Set aside what a request may cost at most, and return a number for it. Raises OverBudget."""

    def settle(self, reservation: int, *, input_tokens: int, output_tokens: int) -> None:
        """The request took so many tokens; none where it was certainly not charged."""


class Unmetered:
    """For what nobody keeps an account of."""

    def reserve(self, model: str, *, input_tokens: int, output_tokens: int) -> int:
        return 0

    def settle(self, reservation: int, *, input_tokens: int, output_tokens: int) -> None:
        """Nothing was reserved."""


UNMETERED = Unmetered()


class AssistantError(ForOperators, Exception):
    """The model refused or answered nothing usable; another try will not help."""


class OverBudget(ForOperators, Exception):
    """The workspace's budget of the month does not allow another call."""


class AssistantUnavailable(ForOperators, Exception):
    """The model could not be reached or is overloaded; another try may help."""

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Assistant(ABC):
    """Called without a database connection; answers within `timeout` seconds or raises."""

    @abstractmethod
    def reply(self, question: Question, *, timeout: float, meter: Meter = UNMETERED) -> Reply:
        """Answer all of `question.texts` with one reply.

        Raises AssistantUnavailable (transient), AssistantError (permanent) or OverBudget.
        """

    @abstractmethod
    def summarise(
        self, earlier: str, turns: tuple[Turn, ...], *, locale: str, timeout: float, meter: Meter = UNMETERED
    ) -> str:
        """What the team should remember of `turns`, and of the summary `earlier` of what was said before them.

        Raises as `reply` does. Empty: nothing.
        """


@cache
def get_assistant(model: str) -> Assistant:
    """The assistant of this name.

    Args:
        model: `offline`, or `provider:model`, for example `openai:gpt-5-mini`.
    """
    if model == "offline":
        from .offline import OfflineAssistant

        return OfflineAssistant()
    from .model import ModelAssistant  # imports pydantic-ai: two seconds and 70 MiB that only a worker should pay

    return ModelAssistant(model)


os.register_at_fork(after_in_child=get_assistant.cache_clear)  # a model's open connections belong to the parent


def storable(text: str) -> str:
    """Without NUL and lone surrogates, which JSON can carry and a database refuses."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()
