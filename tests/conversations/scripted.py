"""An assistant that says what a test wants, and lets the test act while it is thinking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from conversations.assistants import UNMETERED, Assistant, Meter, Question, Reply, Turn


@dataclass
class ScriptedAssistant(Assistant):
    """Answers with the scripted replies in turn, then by counting."""

    replies: list[Reply | Exception] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    meanwhile: list[Callable[[], object]] = field(default_factory=list)  # one for each of the next calls

    def reply(self, question: Question, *, timeout: float, meter: Meter = UNMETERED) -> Reply:
        self.questions.append(question)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        reply = self.replies.pop(0) if self.replies else Reply(f"answer {len(self.questions)}")
        if isinstance(reply, Exception):
            raise reply
        return reply

    def summarise(
        self, earlier: str, turns: tuple[Turn, ...], *, locale: str, timeout: float, meter: Meter = UNMETERED
    ) -> str:
        return "\n".join([earlier, *(turn.text for turn in turns)])
