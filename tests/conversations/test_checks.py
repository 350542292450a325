"""A wrong AI_MODEL is said at start, not when the first contact writes."""

from __future__ import annotations

import pytest
from django.core.checks.registry import registry
from pytest_django import Settings

from conversations.checks import check_assistant


def found(settings: Settings, model: str) -> list[str]:
    settings.AI_MODEL = model
    return [str(message.id) for message in check_assistant(None)]


def test_manage_py_check_looks_at_it() -> None:
    assert check_assistant in registry.get_checks()


@pytest.mark.parametrize("model", ["", "gpt-5-mini", "openai:", ":gpt-5-mini", "Offline"])
def test_a_name_that_names_no_model(settings: Settings, model: str) -> None:
    assert found(settings, model) == ["conversations.E001"]


def test_a_provider_that_is_not_known(settings: Settings) -> None:
    assert found(settings, "opneai:gpt-5-mini") == ["conversations.E002"]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "groq", "google", "ollama"])
def test_a_provider_without_credentials(settings: Settings, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", "")
    assert found(settings, f"{provider}:some-model") == ["conversations.E003"]


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "OPENAI_BASE_URL"])
def test_a_provider_with_credentials(settings: Settings, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "something")
    assert found(settings, "openai:gpt-5-mini") == []


def test_the_default_needs_nothing(settings: Settings) -> None:
    assert found(settings, "offline") == []
