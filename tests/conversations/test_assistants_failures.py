"""Whatever keeps a model from answering has its own rule, and the contact always hears something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conversations.assistants.model import MAX_LENGTH
from conversations.models import Assistant, ChannelAccount, Conversation, Message, State, Usage
from queueing.models import Job, JobStatus
from tests.stand_ins.openai import OpenAIServer

from .conftest import SECOND
from .console import Console

Write = Callable[..., Message]
Work = Callable[[], None]

PASSES = [{"status": 429}, {"status": 500}, {"status": 503}, {"drop": "before"}]
STAYS = [
    {"text": ""},
    {"text": "half", "finish_reason": "content_filter"},
    {"status": 400, "error": {"code": "content_filter"}},
]


@pytest.fixture
def second(account: ChannelAccount, openai: OpenAIServer) -> None:
    account.assistant = Assistant.objects.create(workspace=account.workspace, name="two", fallback_model=SECOND)
    account.save()


def asked(openai: OpenAIServer) -> list[str]:
    return [entry["body"]["model"] for entry in openai.journal]


@pytest.mark.parametrize("step", PASSES, ids=str)
def test_what_may_pass_is_tried_again(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console, step: dict[str, Any]
) -> None:
    openai.script(step, step, {"text": "Hello!"})
    write("hello"), work()
    assert [sent.text for sent in other_side.sent] == ["Hello!"]
    assert Job.objects.get(task="process_ai_response").failures == 2


def test_what_takes_too_long_is_tried_again(
    settings: Any, write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    openai.script({"text": "warm"})
    write("hello"), work()  # the first call of a process loads things
    settings.AI_TIMEOUT_SECONDS = 0.5
    openai.script({"hang": True}, {"text": "Hello!"})
    write("hello"), work()
    assert [sent.text for sent in other_side.sent] == ["warm", "Hello!"]
    assert Usage.objects.filter(settled=False).count() == 1  # it may have been charged


@pytest.mark.parametrize("step", STAYS, ids=str)
def test_what_will_not_pass_goes_to_a_person_at_once(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console, step: dict[str, Any]
) -> None:
    openai.script(step)
    write("hello"), work()
    assert len(openai.journal) == 1
    assert [sent.text[:5] for sent in other_side.sent] == ["Sorry"]
    assert Conversation.objects.get().state == State.HUMAN


@pytest.mark.parametrize("step", PASSES + STAYS, ids=str)
@pytest.mark.usefixtures("second")
def test_the_second_model_answers_in_its_place(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console, step: dict[str, Any]
) -> None:
    openai.script(step, {"text": "Hello!"})
    write("hello"), work()
    assert asked(openai) == ["gpt-4.1-mini", "gpt-4.1-nano"]
    assert [sent.text for sent in other_side.sent] == ["Hello!"]
    assert Job.objects.get(task="process_ai_response").failures == 0


@pytest.mark.usefixtures("second")
def test_where_one_of_both_may_pass_both_are_tried_again(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    openai.script({"status": 503}, {"text": ""}, {"text": ""}, {"status": 503}, {"text": "Hello!"})
    write("hello"), work()
    assert [sent.text for sent in other_side.sent] == ["Hello!"]
    assert Job.objects.get(task="process_ai_response").failures == 2


@pytest.mark.usefixtures("second")
def test_where_neither_will_a_person_goes_on(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    openai.script(*STAYS[:2])
    write("hello"), work()
    assert Job.objects.get(task="process_ai_response").status == JobStatus.DEAD
    assert [sent.text[:5] for sent in other_side.sent] == ["Sorry"]


def test_an_answer_that_was_cut_off_ends_with_its_last_whole_sentence(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    openai.script({"text": "We open at nine. We clo", "finish_reason": "length"})
    write("hello"), work()
    assert [sent.text for sent in other_side.sent] == ["We open at nine."]


def test_an_answer_that_nobody_would_read_is_shortened_at_a_sentence(
    write: Write, work: Work, openai: OpenAIServer, other_side: Console
) -> None:
    openai.script({"text": "This is a sentence. " * 1000})
    write("hello"), work()
    assert MAX_LENGTH * 0.9 < sum(len(sent.text) + 1 for sent in other_side.sent) <= MAX_LENGTH + 1
    assert other_side.sent[-1].text.endswith(".")
