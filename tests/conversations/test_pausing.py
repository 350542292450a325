"""An account that must be put right first: one alert, every message kept, and all of them leave when it is resumed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from conversations import outbox, pausing
from conversations.channels import NotSent, Remedy
from conversations.models import Author, ChannelAccount, Conversation, DeliveryStatus, Message, State
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job, JobStatus

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]

BROKEN = ("63007", "no channel with this sender")


@pytest.fixture
def refused(write: Write, account: ChannelAccount, other_side: Console, assistant: ScriptedAssistant) -> ChannelAccount:
    """Three contacts write; the first answer meets an account that is not in order."""
    other_side.raises = [NotSent(*BROKEN, Remedy.PAUSE)]
    for number in range(3):
        write("hello", sender=f"+1555010000{number}")
    run_ready_jobs()
    account.refresh_from_db()
    return account


def sends() -> list[Job]:
    return list(Job.objects.filter(task="deliver_message").order_by("pk"))


def time_passes() -> None:
    Job.objects.filter(status=JobStatus.SCHEDULED).update(status=JobStatus.READY)
    run_ready_jobs()


def test_the_account_is_paused_and_every_message_kept(refused: ChannelAccount, other_side: Console) -> None:
    assert refused.paused_at
    assert refused.paused_reason == "63007: no channel with this sender"
    answers = Message.objects.filter(direction="outbound")
    assert [answer.delivery_status for answer in answers] == [DeliveryStatus.PENDING] * 3
    assert {conversation.state for conversation in Conversation.objects.all()} == {State.IN_PROGRESS}
    assert other_side.sent == []


def test_waiting_is_charged_to_no_job_and_none_grows_too_old(refused: ChannelAccount, other_side: Console) -> None:
    for _ in range(30):
        time_passes()
    assert {(job.status, job.failures, job.expires_at) for job in sends()} == {(JobStatus.SCHEDULED, 0, None)}
    assert other_side.sent == []


def test_there_is_one_alert(account: ChannelAccount, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "conversations.pausing"):
        assert pausing.pause(account.pk, reason="63007: no such sender", now=timezone.now())
        assert not pausing.pause(account.pk, reason="20003: another", now=timezone.now())
    assert [record.getMessage() for record in caplog.records] == [
        f"channel account {account.pk} is paused: 63007: no such sender"
    ]


def test_resumed_everything_leaves_at_once_and_in_order(refused: ChannelAccount, other_side: Console) -> None:
    first = Conversation.objects.earliest("pk")
    with transaction.atomic():
        outbox.send(first, "and more", author=Author.AGENT, now=timezone.now())
    assert pausing.resume(refused, actor="ana", now=timezone.now()) == 3
    assert {job.status for job in sends()} == {JobStatus.READY, JobStatus.BLOCKED}
    run_ready_jobs()
    assert {job.status for job in sends()} == {JobStatus.SUCCEEDED}
    assert sorted(sent.text for sent in other_side.sent) == ["and more", "answer 1", "answer 2", "answer 3"]
    assert [sent.text for sent in other_side.sent if sent.recipient == first.contact.address] == [
        "answer 1",
        "and more",
    ]
    refused.refresh_from_db()
    assert (refused.paused_at, refused.paused_reason) == (None, "")


def test_other_accounts_are_not_touched(refused: ChannelAccount, other_side: Console) -> None:
    other = ChannelAccount.objects.create(
        workspace=refused.workspace, channel="console", medium="whatsapp", address="+15550100002"
    )
    pausing.pause(other.pk, reason="x", now=timezone.now())
    assert pausing.resume(other, actor="ana", now=timezone.now()) == 0
    assert pausing.resume(other, actor="ana", now=timezone.now()) == 0
    assert {job.status for job in sends()} == {JobStatus.SCHEDULED}


def test_who_is_refused_again_is_paused_again(refused: ChannelAccount, other_side: Console) -> None:
    other_side.raises = [NotSent(*BROKEN, Remedy.PAUSE)]
    pausing.resume(refused, actor="ana", now=timezone.now())
    run_ready_jobs()
    refused.refresh_from_db()
    assert refused.paused_at
    assert len(other_side.sent) == 0


def test_nothing_is_sent_to_who_opted_out_during_the_pause(
    refused: ChannelAccount, other_side: Console, write: Write
) -> None:
    write("STOP", sender="+15550100000", keyword="stop")
    pausing.resume(refused, actor="ana", now=timezone.now() + timedelta(days=2))
    run_ready_jobs()
    assert {sent.recipient for sent in other_side.sent} == {"+15550100001", "+15550100002"}
