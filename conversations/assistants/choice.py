"""Which assistant answers at one of our addresses, and how: what it leaves empty is as the settings say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from conversations import hours
from conversations.models import Assistant as AssistantRow
from conversations.models import ChannelAccount


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that one may set about an assistant."""

    instructions: str
    model: str
    fallback_model: str = ""  # empty: none
    temperature: float | None = None
    language: str = ""
    tools: frozenset[str] = frozenset()  # names, besides the handoff, which nobody can take from a contact
    memory: int = 20  # earlier messages that it is shown


def choose(account: ChannelAccount, now: datetime) -> Choice:
    """The workspace's assistant outside business hours, then; else that of the address, else of the workspace.

    Without any it is the one of the settings, which may only hand off.
    """
    workspace = account.workspace
    row: AssistantRow | None = account.assistant or workspace.assistant
    if workspace.after_hours_assistant and not hours.is_open(workspace, now):
        row = workspace.after_hours_assistant
    if row is None or row.workspace_id != workspace.pk:  # what belongs to another tenant is never shown here
        return Choice(workspace.instructions, settings.AI_MODEL)
    return Choice(
        instructions="\n\n".join(filter(None, (workspace.instructions, row.instructions))),
        model=row.model or settings.AI_MODEL,
        fallback_model=row.fallback_model,
        temperature=row.temperature,
        language=row.language,
        tools=frozenset(row.tools),
        memory=row.memory,
    )
