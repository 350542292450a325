"""Where a message comes in: it is stored together with the job that will answer it, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from .models import ChannelAccount, Message


class Keyword(StrEnum):
    """A word with which a contact steers what they get."""

    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class InboundMedia:
    """A file at the provider, not fetched yet."""

    content_type: str
    source_url: str


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message as a channel understood it; no provider word is left outside `raw`."""

    external_id: str
    sender: str  # the contact's address, for example +15550107777
    sender_name: str
    text: str
    kind: str = "text"
    details: dict[str, Any] = field(default_factory=dict)
    media: tuple[InboundMedia, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict)
    keyword: Keyword | None = None


def receive(inbound: InboundMessage, *, account: ChannelAccount, now: datetime) -> Message | None:
    """Store `inbound` with contact, conversation and answer job, in one transaction. None when it is stored already."""
    raise NotImplementedError
