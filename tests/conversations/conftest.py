"""A conversation over the console channel, with a scripted assistant; the queue is worked off in the test's thread."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from conversations import inbox, responder
from conversations.assistants import get_assistant
from conversations.channels import get_channel
from conversations.models import ChannelAccount, Conversation, Medium, Message, Workspace
from queueing import event_loop
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job, JobStatus
from tests.stand_ins.openai import OpenAIServer

from .console import Console, console
from .scripted import ScriptedAssistant

FIRST, SECOND = "openai:gpt-4.1-mini", "openai:gpt-4.1-nano"


@pytest.fixture
def other_side(settings: Any, transactional_db: None) -> Iterator[Console]:
    settings.CHANNELS = {"console": {"BACKEND": "tests.conversations.console.ConsoleChannel"}}
    settings.REPLY_DEBOUNCE_SECONDS = 0
    get_channel.cache_clear()
    console.__init__()  # type: ignore[misc]
    yield console
    get_channel.cache_clear()


@pytest.fixture
def account(other_side: Console) -> ChannelAccount:
    workspace = Workspace.objects.create(name="Padaria", slug="padaria")
    return ChannelAccount.objects.create(
        workspace=workspace, channel="console", medium=Medium.WHATSAPP, address="+15550100001"
    )


@pytest.fixture
def assistant(monkeypatch: pytest.MonkeyPatch) -> ScriptedAssistant:
    scripted = ScriptedAssistant()
    monkeypatch.setattr(responder, "get_assistant", lambda model: scripted)
    return scripted


@pytest.fixture
def openai(settings: Any) -> Iterator[OpenAIServer]:
    """The settings' model, and every other one of OpenAI's, answers as a test has it."""
    get_assistant.cache_clear()
    with OpenAIServer() as server:
        settings.OPENAI_BASE_URL, settings.AI_MODEL = server.base_url, FIRST
        yield server
        for name in (FIRST, SECOND):
            event_loop.run(get_assistant(name).model.client.close(), timeout=5)  # type: ignore[attr-defined]
    get_assistant.cache_clear()


@pytest.fixture
def write(account: ChannelAccount) -> Callable[..., Message | None]:
    """The contact writes; the message is stored as a channel would store it."""
    numbers = itertools.count(1)

    def write(text: str, **changes: Any) -> Message | None:
        fields = {"external_id": f"in-{next(numbers)}", "sender": "+15550107777", "sender_name": "Ana", "text": text}
        return inbox.receive(inbox.InboundMessage(**{**fields, **changes}), account=account, now=timezone.now())

    return write


@pytest.fixture
def work(transactional_db: None) -> Callable[[], None]:
    """Work off the queue, without waiting for what is due later."""

    def work() -> None:
        for _ in range(20):
            Job.objects.filter(status=JobStatus.SCHEDULED).update(status=JobStatus.READY)
            if not Job.objects.filter(status=JobStatus.READY).exists():
                return
            run_ready_jobs()
        raise AssertionError("the queue does not come to rest")

    return work


@pytest.fixture
def conversation(write: Callable[..., Message]) -> Callable[[], Conversation]:
    return lambda: Conversation.objects.latest("pk")
