"""A voice note is answered as what was said in it; where nobody can listen, that is said kindly, and once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from conversations.inbox import InboundMedia
from conversations.models import Media, Message, Workspace
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job, JobStatus
from tests.stand_ins.site import Site, answer
from tests.stand_ins.transcription import heard, transcription_server

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]

OPUS = b"OggS\x00\x02 a voice"
NOTE = InboundMedia("audio/ogg", "https://files.example.com/voice")
SORRY = "Sorry, I cannot listen to voice messages here. Could you write your question instead?"


@pytest.fixture(autouse=True)
def _provider(settings: Any, tmp_path: Path, other_side: Console) -> None:
    settings.MEDIA_ROOT = tmp_path
    other_side.files = {NOTE.source_url: OPUS}


@pytest.fixture
def server(settings: Any) -> Iterator[Site]:
    with transcription_server(heard(" Are you open on Saturday? ")) as server:
        settings.TRANSCRIPTION_BASE_URL = f"{server.url}/v1"
        settings.TRANSCRIPTION_API_KEY = "the key"
        settings.TRANSCRIPTION_MODEL = "whisper-large"
        yield server


def say(write: Write, text: str = "", media: InboundMedia = NOTE) -> Message:
    return write(text, kind="audio", media=(media,))


def asked(assistant: ScriptedAssistant) -> list[tuple[str, ...]]:
    return [question.texts for question in assistant.questions]


def test_what_was_said_is_what_the_assistant_reads(
    write: Write, work: Work, server: Site, assistant: ScriptedAssistant
) -> None:
    say(write)
    work()
    assert asked(assistant) == [("Are you open on Saturday?",)]
    assert Media.objects.get().transcript == "Are you open on Saturday?"
    (request,) = server.seen
    assert request.headers["Authorization"] == "Bearer the key"
    assert OPUS in request.body
    assert b"whisper-large" in request.body
    assert b".ogg" in request.body  # some servers tell the format by the name


def test_the_answer_waits_for_what_was_said_and_nothing_is_charged_for_it(
    write: Write, work: Work, server: Site, assistant: ScriptedAssistant
) -> None:
    say(write)
    Job.objects.filter(task="fetch_media").update(status=JobStatus.SCHEDULED)  # it comes late
    Job.objects.filter(task="process_ai_response").update(status=JobStatus.READY)
    run_ready_jobs()
    waiting = Job.objects.get(task="process_ai_response")
    assert (waiting.status, waiting.failures, asked(assistant)) == (JobStatus.SCHEDULED, 0, [])
    work()
    assert asked(assistant) == [("Are you open on Saturday?",)]


def test_it_does_not_wait_for_ever(
    write: Write, other_side: Console, server: Site, assistant: ScriptedAssistant, work: Work
) -> None:
    message = say(write)
    Message.objects.update(created_at=message.created_at - timedelta(minutes=2))
    Job.objects.filter(task="fetch_media").delete()
    work()
    assert [sent.text for sent in other_side.sent] == [SORRY]


def test_later_turns_know_what_was_said(write: Write, work: Work, server: Site, assistant: ScriptedAssistant) -> None:
    say(write)
    work()
    write("and on Sunday?")
    work()
    assert assistant.questions[1].history[0].text == "Are you open on Saturday?"


def test_without_an_endpoint_a_typed_question_is_asked_for_once(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    Workspace.objects.update(locale="en")
    say(write), say(write)
    work()
    assert [sent.text for sent in other_side.sent] == [SORRY]
    assert assistant.questions == []
    assert set(Message.objects.filter(direction="inbound").values_list("outcome", flat=True)) == {"answered", "merged"}


def test_what_was_typed_beside_it_is_answered(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    say(write), write("are you open?")
    work()
    assert asked(assistant) == [("are you open?",)]
    assert [sent.text for sent in other_side.sent] == [f"answer 1\n\n{SORRY}"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_is_asked_again(
    write: Write, work: Work, settings: Any, assistant: ScriptedAssistant, status: int
) -> None:
    with transcription_server(answer(b"{}", status), heard("hello")) as server:
        settings.TRANSCRIPTION_BASE_URL = f"{server.url}/v1"
        say(write)
        work()
    assert asked(assistant) == [("hello",)]
    assert len(server.seen) == 2


@pytest.mark.parametrize("page", [answer(b"{}", 400), answer(b"{}", 503), heard("  ")])
def test_one_that_cannot_be_understood_is_apologised_for(
    write: Write, work: Work, settings: Any, other_side: Console, assistant: ScriptedAssistant, page: Any
) -> None:
    with transcription_server(page) as server:
        settings.TRANSCRIPTION_BASE_URL = f"{server.url}/v1"
        say(write)
        work()
    assert [sent.text for sent in other_side.sent] == [SORRY]
    assert Media.objects.get().reason == "it could not be transcribed"


def test_a_photo_is_not_waited_for(
    write: Write, server: Site, other_side: Console, assistant: ScriptedAssistant
) -> None:
    write("look", kind="image", media=(InboundMedia("image/jpeg", NOTE.source_url),))
    Job.objects.filter(task="process_ai_response").update(status=JobStatus.READY)
    Job.objects.filter(task="fetch_media").update(status=JobStatus.SCHEDULED)
    run_ready_jobs()
    assert asked(assistant) == [("[image] look",)]
