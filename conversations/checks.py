"""What `manage.py check` says about the assistant's settings, without importing a model's library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

#: provider -> environment variables of which one must be set, as pydantic-ai reads them
PROVIDERS = {
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),  # compatible servers may want no key
    "anthropic": ("ANTHROPIC_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "ollama": ("OLLAMA_BASE_URL",),
}


@register()
def check_assistant(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """AI_MODEL names an assistant that can be made."""
    problem = model_problem(settings.AI_MODEL)
    return [problem] if problem else []


def model_problem(name: str) -> Error | None:
    """Why there can be no assistant of this name; None when there can."""
    if name == "offline":
        return None
    provider, _, model = name.partition(":")
    if not provider or not model:
        return Error(
            f"AI_MODEL is {name!r}, which names no model.",
            hint="Set it to offline, or to provider:model, for example openai:gpt-5-mini.",
            id="conversations.E001",
        )
    if provider not in PROVIDERS:
        return Error(
            f"AI_MODEL names the provider {provider!r}, which is not known.",
            hint=f"Known are {', '.join(PROVIDERS)}.",
            id="conversations.E002",
        )
    if not any(os.environ.get(variable) for variable in PROVIDERS[provider]):
        return Error(
            f"AI_MODEL is {name!r}, but {provider} has no credentials.",
            hint=f"Set {' or '.join(PROVIDERS[provider])}.",
            id="conversations.E003",
        )
    return None
