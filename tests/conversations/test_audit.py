"""`audit_messages`: every message has its account, and one that was forgotten is named."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from conversations.models import DeliveryStatus, Direction, Message, Outcome
from queueing.models import Job

from .scripted import ScriptedAssistant


def audit(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("audit_messages", *arguments, stdout=out, no_color=True)
    except SystemExit as stop:
        return int(str(stop.code)), out.getvalue()
    return 0, out.getvalue()


def inbound() -> Message:
    return Message.objects.get(direction=Direction.INBOUND)


def test_what_waits_for_its_job_is_accounted_for(write: Callable[..., Message]) -> None:
    write("Are you open?")
    assert audit()[0] == 0


def test_what_was_answered_is_accounted_for(
    write: Callable[..., Message], work: Callable[[], None], assistant: ScriptedAssistant
) -> None:
    write("Are you open?")
    work()
    code, words = audit()
    assert (code, inbound().outcome) == (0, Outcome.ANSWERED)
    assert "answered: 1" in words


def test_a_message_whose_job_is_gone_is_named(write: Callable[..., Message]) -> None:
    message = write("Are you open?")
    Job.objects.all().delete()
    code, words = audit()
    assert code == 1
    assert f"Message {message.pk}: it waits" in words


@pytest.mark.parametrize(
    "broken",
    [
        {"outcome": Outcome.DEAD},
        {"outcome": Outcome.ANSWERED},
        {"outcome": ""},
    ],
)
def test_an_end_that_explains_nothing_is_named(write: Callable[..., Message], broken: dict[str, str]) -> None:
    message = write("Are you open?")
    Message.objects.filter(pk=message.pk).update(**broken)
    code, words = audit()
    assert code == 1
    assert f"Message {message.pk}:" in words


def test_an_answer_that_nothing_will_send_is_named(
    write: Callable[..., Message], work: Callable[[], None], assistant: ScriptedAssistant
) -> None:
    write("Are you open?")
    work()
    answer = Message.objects.get(direction=Direction.OUTBOUND)
    Message.objects.filter(pk=answer.pk).update(delivery_status=DeliveryStatus.PENDING)
    code, words = audit()
    assert code == 1
    assert f"Message {answer.pk}: it waits" in words


def test_it_takes_as_many_statements_for_ten_messages_as_for_two(
    write: Callable[..., Message], django_assert_num_queries: Callable[[int], object]
) -> None:
    for number in range(10):
        write("Are you open?", sender=f"+1555010{number:04}")
    with django_assert_num_queries(4):  # the count, a batch, its jobs, and no further batch
        audit()


def test_an_unknown_workspace_is_refused(write: Callable[..., Message]) -> None:
    with pytest.raises(CommandError, match="no workspace"):
        call_command("audit_messages", workspace="nowhere")
