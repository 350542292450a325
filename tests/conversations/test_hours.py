"""Business hours go by the workspace's clock, summer and winter; outside them a contact is told once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from conversations import hours, operators
from conversations.assistants import Reply
from conversations.models import Assistant, BusinessHours, ChannelAccount, Conversation, Message, State, Workspace

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]

MONDAY = 0


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-01-12T07:59", False),  # Monday, Berlin is one hour ahead
        ("2026-01-12T08:00", True),
        ("2026-01-12T16:59", True),
        ("2026-01-12T17:00", False),
        ("2026-07-13T07:00", True),  # two hours
        ("2026-07-13T06:59", False),
        ("2026-07-13T16:00", False),
        ("2026-01-13T10:00", False),  # Tuesday
    ],
)
def test_the_clock_on_the_wall_counts(db: None, moment: str, is_open: bool) -> None:
    workspace = Workspace.objects.create(name="Bakery", slug="bakery", time_zone="Europe/Berlin")
    BusinessHours.objects.create(workspace=workspace, weekday=MONDAY, opens=time(9), closes=time(18))
    assert hours.is_open(workspace, datetime.fromisoformat(moment).replace(tzinfo=UTC)) == is_open


def test_midnight_ends_the_day_and_no_hours_at_all_mean_always(db: None) -> None:
    workspace = Workspace.objects.create(name="Bakery", slug="bakery")
    late = datetime(2026, 1, 12, 23, 59, 59, tzinfo=UTC)
    assert hours.is_open(workspace, late)
    BusinessHours.objects.create(workspace=workspace, weekday=MONDAY, opens=time(20), closes=time(0))
    assert hours.is_open(workspace, late)
    assert not hours.is_open(workspace, late + timedelta(seconds=1))


@pytest.fixture
def closed(account: ChannelAccount) -> Workspace:
    """A workspace that is open only on the day before yesterday's weekday, and says so."""
    workspace = account.workspace
    workspace.after_hours_message = "We are closed."
    workspace.save()
    weekday = (timezone.now() - timedelta(days=2)).weekday()
    BusinessHours.objects.create(workspace=workspace, weekday=weekday, opens=time(9), closes=time(18))
    return workspace


def sent(other_side: Console) -> list[str]:
    return [message.text for message in other_side.sent]


def test_outside_them_the_contact_is_told_once_and_a_person_finds_it_in_the_morning(
    closed: Workspace, write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console
) -> None:
    for text in ("hello", "anybody there?"):
        write(text)
        work()
    assert sent(other_side) == ["We are closed."]
    assert Conversation.objects.get().state == State.HUMAN
    assert Conversation.objects.get().waiting_since
    assert not assistant.questions

    operators.reply(Conversation.objects.get().pk, "Here I am.", by=User.objects.create(), now=timezone.now())
    write("Ah!")
    work()
    assert sent(other_side) == ["We are closed.", "Here I am.", "We are closed."]


def test_where_an_assistant_answers_then_only_who_wants_a_person_is_told(
    closed: Workspace, write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console
) -> None:
    closed.after_hours_assistant = Assistant.objects.create(workspace=closed, name="Night")
    closed.save()
    write("hello")
    work()
    assert sent(other_side) == ["answer 1"]
    write("atendente")
    work()
    assert sent(other_side) == ["answer 1", "We are closed."]


def test_inside_them_who_asks_for_a_person_is_told_that_one_comes(
    closed: Workspace, write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console
) -> None:
    BusinessHours.objects.all().delete()
    write("atendente")
    work()
    assert sent(other_side) == ["I am asking a person to help you. They will answer you here."]


def test_whom_the_assistant_gives_to_a_person_is_told_too(
    closed: Workspace, write: Write, work: Work, assistant: ScriptedAssistant, other_side: Console
) -> None:
    closed.after_hours_assistant = Assistant.objects.create(workspace=closed, name="Night")
    closed.save()
    assistant.replies.append(Reply("Someone will help you.", handoff=True))
    write("hello")
    work()
    assert sent(other_side) == ["Someone will help you.", "We are closed."]
