"""Free text leaves only while the contact's last message is fresh: else the template, or a person; never a refusal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from conversations import outbox, pausing, window
from conversations.channels import NotSent, Remedy
from conversations.models import (
    Author,
    ChannelAccount,
    Conversation,
    DeliveryStatus,
    Message,
    Outcome,
    State,
    Template,
    Workspace,
)
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]

DAY = timedelta(hours=24)


@pytest.fixture(autouse=True)
def _a_window(other_side: Console, assistant: ScriptedAssistant) -> None:
    other_side.window = DAY


@pytest.fixture
def template(account: ChannelAccount) -> Template:
    template = Template.objects.create(
        workspace=account.workspace,
        name="still there",
        external_id="HX1",
        body="Hello {{1}}, {{2}} has news. {{3}}",
        variables={"1": "contact_name", "2": "workspace_name"},
    )
    Workspace.objects.update(window_template=template)
    return template


def silent_for(length: timedelta) -> None:
    Conversation.objects.update(last_inbound_at=timezone.now() - length)


def say(text: str, **options: object) -> list[Message]:
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update().get()
        return outbox.send(conversation, text, author=Author.AGENT, now=timezone.now(), **options)  # type: ignore[arg-type]


def test_inside_the_window_the_answer_leaves_and_may_not_outlive_it(
    write: Write, work: Work, other_side: Console
) -> None:
    write("hello")
    work()
    [sent] = other_side.sent
    assert sent.valid_for is not None
    assert DAY - timedelta(minutes=1) < sent.valid_for < DAY


def test_an_answer_that_is_ready_too_late_is_a_draft_and_a_person_goes_on(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant
) -> None:
    assistant.meanwhile = [lambda: silent_for(DAY)]
    write("hello")
    work()
    draft = Message.objects.get(direction="outbound")
    assert (draft.delivery_status, draft.text, draft.error_reason) == ("draft", "answer 1", window.CLOSED)
    assert Message.objects.get(direction="inbound").outcome == Outcome.HUMAN
    assert Conversation.objects.get().state == State.HUMAN
    assert other_side.sent == []


def test_with_a_template_the_contact_is_asked_to_write_again(
    write: Write, work: Work, other_side: Console, assistant: ScriptedAssistant, template: Template
) -> None:
    assistant.meanwhile = [lambda: silent_for(DAY)]
    write("hello")
    work()
    [sent] = other_side.sent
    assert (sent.template, dict(sent.variables), sent.valid_for) == ("HX1", {"1": "Ana", "2": "Padaria"}, None)
    draft, stands_for = Message.objects.filter(direction="outbound").order_by("seq")
    assert (draft.delivery_status, stands_for.delivery_status) == (DeliveryStatus.DRAFT, DeliveryStatus.QUEUED)
    assert stands_for.text == "Hello Ana, Padaria has news. {{3}}"
    asked = Message.objects.get(direction="inbound")
    assert (asked.outcome, asked.answer) == (Outcome.ANSWERED, stands_for)


def test_the_template_goes_once_until_the_contact_writes(
    write: Write, work: Work, other_side: Console, template: Template
) -> None:
    write("hello")
    work()
    silent_for(DAY)
    say("one")
    assert say("two") == []
    work()
    assert [sent.template for sent in other_side.sent] == ["", "HX1"]
    assert Conversation.objects.get().state == State.HUMAN


@pytest.fixture
def answered_but_not_sent(write: Write, account: ChannelAccount, assistant: ScriptedAssistant) -> None:
    """The answer is stored, and its job waits."""
    pausing.pause(account.pk, reason="a test", now=timezone.now())
    write("hello")
    run_ready_jobs()
    pausing.resume(account, actor="a test", now=timezone.now())


@pytest.mark.usefixtures("answered_but_not_sent")
@pytest.mark.parametrize("code", ["", "63016"])
def test_what_waits_while_the_window_closes_becomes_drafts_and_one_template(
    work: Work, other_side: Console, template: Template, code: str
) -> None:
    say("and more")
    if code:  # the provider's clock is ahead of ours
        other_side.raises = [NotSent(code, "outside the window", Remedy.WINDOW_CLOSED)]
    else:
        silent_for(DAY)
    work()
    assert [sent.template for sent in other_side.sent] == ["HX1"]
    statuses = Message.objects.filter(direction="outbound").order_by("seq").values_list("delivery_status", flat=True)
    assert list(statuses) == [DeliveryStatus.DRAFT, DeliveryStatus.DRAFT, DeliveryStatus.QUEUED]
    assert Message.objects.get(direction="inbound").answer == Message.objects.latest("seq")


@pytest.mark.usefixtures("answered_but_not_sent")
def test_what_waits_while_the_window_closes_is_given_to_a_person(work: Work, other_side: Console) -> None:
    silent_for(DAY)
    work()
    assert other_side.sent == []
    assert Message.objects.get(direction="outbound").delivery_status == DeliveryStatus.DRAFT
    assert Message.objects.get(direction="inbound").outcome == Outcome.HUMAN
    assert Conversation.objects.get().state == State.HUMAN


def test_a_template_that_is_refused_is_not_followed_by_another(
    write: Write, work: Work, other_side: Console, template: Template
) -> None:
    write("hello")
    work()
    silent_for(DAY)
    other_side.raises = [NotSent("63016", "outside the window", Remedy.WINDOW_CLOSED)]
    say("one")
    work()
    assert len(other_side.sent) == 1
    assert Conversation.objects.get().state == State.HUMAN


def test_a_value_that_would_be_empty_is_left_to_the_provider(
    write: Write, work: Work, other_side: Console, template: Template
) -> None:
    write("hello", sender_name="")
    silent_for(DAY)
    say("one")
    work()
    assert dict(other_side.sent[0].variables) == {"2": "Padaria"}


@pytest.mark.parametrize(
    ("silent", "priority"),
    [
        (timedelta(0), 0),
        (timedelta(hours=11), 0),
        (timedelta(hours=13), 10),
        (timedelta(hours=21), 20),
        (timedelta(hours=23, minutes=30), 30),
        (timedelta(hours=23, minutes=50), 40),
        (DAY, 0),
    ],
)
def test_the_soonest_to_close_is_the_most_urgent(write: Write, silent: timedelta, priority: int) -> None:
    write("hello")
    silent_for(silent)
    assert window.priority(Conversation.objects.get(), timezone.now()) == priority
    say("one")
    assert [job.priority for job in Job.objects.filter(task="deliver_message")] == [priority] * (silent < DAY)


def test_of_a_backlog_the_window_that_closes_first_is_served_first(write: Write, other_side: Console) -> None:
    for number, hours in enumerate((1, 23.5, 14, 23.9)):
        write(f"from {number}", sender=f"+1555010000{number}")
        conversation = Conversation.objects.latest("pk")
        conversation.last_inbound_at = timezone.now() - timedelta(hours=hours)
        conversation.save()
        with transaction.atomic():
            outbox.send(conversation, str(number), author=Author.AGENT, now=timezone.now())
    Job.objects.filter(task="process_ai_response").delete()
    run_ready_jobs()
    assert [sent.text for sent in other_side.sent] == ["3", "1", "2", "0"]


def test_a_channel_without_a_window_takes_text_at_any_time(write: Write, work: Work, other_side: Console) -> None:
    other_side.window = None
    write("hello")
    silent_for(timedelta(days=300))
    say("still here")
    work()
    assert {sent.valid_for for sent in other_side.sent} == {None}
    assert len(other_side.sent) == 2
