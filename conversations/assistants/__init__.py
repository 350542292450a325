"""The assistant port: a question with its conversation goes in, a reply comes out.

The model's name chooses: `offline` answers from the workspace's knowledge by full-text search; `provider:model` asks
that model.
"""

from .base import (
    HAND_OFF,
    UNMETERED,
    Assistant,
    AssistantError,
    AssistantUnavailable,
    Effects,
    Meter,
    OverBudget,
    Question,
    Reply,
    Tool,
    Turn,
    get_assistant,
)

__all__ = [
    "HAND_OFF",
    "UNMETERED",
    "Assistant",
    "AssistantError",
    "AssistantUnavailable",
    "Effects",
    "Meter",
    "OverBudget",
    "Question",
    "Reply",
    "Tool",
    "Turn",
    "get_assistant",
]
