"""A second channel, in a few lines: what is sent goes to a list. It shows that `conversations` needs no provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO

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
    taken: frozenset[str] = frozenset()  # what the last look-up was told to leave out
    window: timedelta | None = None  # for free text
    on_air: timedelta = timedelta(0)  # that one message keeps its sender busy
    files: dict[str, bytes | Exception] = field(default_factory=dict)  # by where they lie
    fetched: list[str] = field(default_factory=list)


console = Console()


class ConsoleChannel(Channel):
    max_text_length = 200

    def reply_window(self, medium: str) -> timedelta | None:
        return console.window

    def time_on_air(self, outgoing: OutgoingMessage) -> timedelta:
        return console.on_air

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
        console.taken = taken
        known = (outgoing.message_id, outgoing.resend) in [(sent.message_id, sent.resend) for sent in console.sent]
        return self._receipt(outgoing) if known and console.can_be_searched else None

    def fetch(self, url: str, prepared: object, into: IO[bytes], *, limit: int, timeout: float) -> None:
        console.fetched.append(url)
        file = console.files[url]
        if isinstance(file, Exception):
            raise file
        into.write(file)

    def show_typing(self, prepared: object, external_id: str) -> None:
        console.typing.append(external_id)

    def _receipt(self, outgoing: OutgoingMessage) -> Receipt:
        return Receipt(external_id=f"console-{outgoing.message_id}", status="queued")
