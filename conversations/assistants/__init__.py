"""The assistant port: a question with its conversation goes in, a reply comes out.

`settings.AI_MODEL` chooses: `offline` answers from the workspace's knowledge by full-text search; `provider:model` asks
that model.
"""

from .base import Assistant, AssistantError, AssistantUnavailable, Question, Reply, Turn, get_assistant

__all__ = ["Assistant", "AssistantError", "AssistantUnavailable", "Question", "Reply", "Turn", "get_assistant"]
