"""A second channel, in a few lines: what is sent goes to a list. It shows that `conversations` needs no provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from conversations.channels import Channel, OutgoingMessage, Receipt


@dataclass
class Console:
    """The other side: what it was sent, and how it answers the next sends."""

    sent: list[OutgoingMessage] = field(default_factory=list)
    typing: list[str] = field(default_factory=list)
    raises: list[Exception] = field(default_factory=list)  # one for each of the next sends
    cannot_be_prepared: list[Exception] = field(default_factory=list)  # one for each of the next looks
    accepts_before_raising: bool = False
    can_be_searched: bool = True


console = Console()


class ConsoleChannel(Channel):
    max_text_length = 200

    def prepare(self, account_id: int) -> None:
        if console.cannot_be_prepared:
            raise console.cannot_be_prepared.pop(0)

    def send(self, outgoing: OutgoingMessage, prepared: object, *, timeout: float) -> Receipt:
        failing = bool(console.raises)
        if not failing or console.accepts_before_raising:
            console.sent.append(outgoing)
        if failing:
            raise console.raises.pop(0)
        return self._receipt(outgoing)

    def find(
        self, outgoing: OutgoingMessage, prepared: object, *, since: datetime, taken: frozenset[str], timeout: float
    ) -> Receipt | None:
        return self._receipt(outgoing) if outgoing in console.sent and console.can_be_searched else None

    def show_typing(self, prepared: object, external_id: str) -> None:
        console.typing.append(external_id)

    def _receipt(self, outgoing: OutgoingMessage) -> Receipt:
        return Receipt(external_id=f"console-{outgoing.message_id}", status="queued")
