"""A message is sent once. Where that cannot be known, it is looked up, and in the end a person is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from conversations import delivery, news
from conversations.channels import NotSent, OutcomeUnknown, Remedy, SendLater
from conversations.models import Contact, Conversation, DeliveryStatus, Message, Outcome, State, UnknownSends, Workspace
from conversations.outbox import give_up_delivery
from queueing.backends.immediate import run_ready_jobs
from queueing.models import Job, JobStatus

from .console import Console
from .scripted import ScriptedAssistant

Write = Callable[..., Message]
Work = Callable[[], None]


def answer() -> Message:
    return Message.objects.get(direction="outbound")


@pytest.fixture(autouse=True)
def _an_assistant(assistant: ScriptedAssistant) -> None:
    """Every message here is answered."""


def test_a_channel_that_is_busy_is_asked_again(write: Write, work: Work, other_side: Console) -> None:
    other_side.raises = [SendLater("429", after=timedelta(seconds=3)), SendLater("429")]
    write("hello")
    work()
    assert len(other_side.sent) == 1
    assert answer().delivery_status == DeliveryStatus.QUEUED


def test_to_be_told_to_wait_is_no_failure_however_often(write: Write, work: Work, other_side: Console) -> None:
    other_side.raises = [SendLater("429", after=timedelta(seconds=1)) for _ in range(3)]
    write("hello")
    work()
    job = Job.objects.get(task="deliver_message")
    assert (job.status, job.failures, job.attempt) == (JobStatus.SUCCEEDED, 0, 4)


def test_a_look_for_what_is_sent_again_never_finds_the_send_that_failed(
    write: Write, work: Work, other_side: Console
) -> None:
    write("hello")
    work()
    first = answer()
    failed = {"status": DeliveryStatus.UNDELIVERED, "error_code": "30003", "error_reason": "", "remedy": Remedy.RESEND}
    news.hear(
        channel="console",
        workspace_id=first.conversation.workspace_id,
        external_id=first.external_id,
        message_id=None,
        resend=0,
        now=timezone.now(),
        **failed,
    )
    other_side.raises = [OutcomeUnknown("reset")]
    for _send_and_look_up in range(2):
        Job.objects.filter(task="deliver_message", status=JobStatus.SCHEDULED).update(status=JobStatus.READY)
        run_ready_jobs()
    assert first.external_id in other_side.taken


def test_of_two_jobs_that_look_for_one_send_only_one_sends_it_again(write: Write, other_side: Console) -> None:
    other_side.raises = [OutcomeUnknown("reset")]
    write("hello")
    run_ready_jobs()
    one, other = answer(), answer()
    assert delivery.send_again(one)
    assert delivery.begin(answer(), resend=1, now=timezone.now())
    assert not delivery.send_again(other)
    assert answer().delivery_status == DeliveryStatus.SENDING


def test_after_a_day_each_wait_is_a_failure_and_in_the_end_a_person_goes_on(
    write: Write, work: Work, other_side: Console
) -> None:
    other_side.raises = [SendLater("429", after=timedelta(seconds=1)) for _ in range(30)]
    write("hello")
    run_ready_jobs()
    Message.objects.filter(direction="outbound").update(created_at=timezone.now() - timedelta(hours=25))
    Job.objects.filter(task="deliver_message").update(status=JobStatus.READY)
    run_ready_jobs()
    job = Job.objects.get(task="deliver_message")
    assert (job.status, job.failures) == (JobStatus.SCHEDULED, 1)
    assert job.run_after - timezone.now() > timedelta(minutes=4)
    work()
    job.refresh_from_db()
    assert (job.status, job.failures) == (JobStatus.DEAD, 20)
    assert answer().delivery_status == DeliveryStatus.FAILED
    assert Conversation.objects.get().state == State.HUMAN


def test_an_account_that_is_never_configured_kills_no_message(write: Write, work: Work, other_side: Console) -> None:
    write("hello")
    Job.objects.filter(task="process_ai_response").update(status=JobStatus.READY)
    other_side.cannot_be_prepared = [SendLater("no credentials", after=timedelta(minutes=15)) for _ in range(40)]
    run_ready_jobs()
    Message.objects.filter(direction="outbound").update(created_at=timezone.now() - timedelta(days=3))
    for _ in range(30):
        Job.objects.filter(task="deliver_message").update(status=JobStatus.READY)
        run_ready_jobs()
    job = Job.objects.get(task="deliver_message")
    assert (job.status, job.failures, answer().delivery_status) == (JobStatus.SCHEDULED, 0, DeliveryStatus.PENDING)


def test_an_account_that_is_not_configured_delays_only_the_sending(
    write: Write, work: Work, other_side: Console
) -> None:
    later = SendLater("no credentials", after=timedelta(minutes=15))
    other_side.cannot_be_prepared = [later, later]  # for the typing indicator, and for the send
    write("hello")
    run_ready_jobs()
    assert Message.objects.get(direction="inbound").outcome == Outcome.ANSWERED
    waits = Job.objects.get(task="deliver_message")
    assert (waits.status, answer().delivery_status) == (JobStatus.SCHEDULED, DeliveryStatus.PENDING)
    assert waits.run_after - timezone.now() > timedelta(minutes=14)
    work()
    assert len(other_side.sent) == 1


def test_a_look_for_an_unknown_send_waits_as_long_as_the_channel_asks(
    write: Write, work: Work, other_side: Console
) -> None:
    other_side.raises, other_side.accepts_before_raising = [OutcomeUnknown("reset")], True
    write("hello")
    run_ready_jobs()
    other_side.cannot_be_prepared = [SendLater("no credentials", after=timedelta(minutes=15))]
    Job.objects.filter(task="deliver_message").update(status=JobStatus.READY)
    run_ready_jobs()
    job = Job.objects.get(task="deliver_message")
    assert (job.status, job.failures) == (JobStatus.SCHEDULED, 0)
    assert job.run_after - timezone.now() > timedelta(minutes=14)
    work()
    assert len(other_side.sent) == 1


def test_a_refusal_is_kept_and_a_person_is_told(write: Write, work: Work, other_side: Console) -> None:
    other_side.raises = [NotSent("21211", "not a number")]
    write("hello")
    work()
    assert (answer().delivery_status, answer().error_code) == (DeliveryStatus.FAILED, "21211")
    assert Conversation.objects.get().state == State.HUMAN


def test_a_contact_that_has_stopped_is_left_alone(write: Write, work: Work, other_side: Console) -> None:
    other_side.raises = [NotSent("21610", "stopped", Remedy.OPT_OUT)]
    write("hello")
    work()
    assert answer().delivery_status == DeliveryStatus.SUPPRESSED
    assert Contact.objects.get().opted_out_at
    assert other_side.sent == []


def test_a_send_that_was_accepted_though_its_answer_was_lost_is_found_and_not_repeated(
    write: Write, work: Work, other_side: Console
) -> None:
    other_side.raises, other_side.accepts_before_raising = [OutcomeUnknown("reset")], True
    write("hello")
    work()
    assert len(other_side.sent) == 1
    assert answer().external_id == f"console-{answer().pk}"
    assert answer().delivery_status == DeliveryStatus.QUEUED


def test_a_send_of_which_no_trace_is_found_is_put_before_a_person_and_not_repeated(
    write: Write, work: Work, other_side: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.attempt.LOOKUPS", (timedelta(0),))
    other_side.raises = [OutcomeUnknown("reset")]
    write("hello")
    work()
    assert other_side.sent == []
    assert answer().delivery_status == DeliveryStatus.FAILED
    assert Conversation.objects.get().state == State.HUMAN


def test_a_workspace_may_have_it_sent_again_though_it_may_come_twice(
    write: Write, work: Work, other_side: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.attempt.LOOKUPS", (timedelta(0),))
    Workspace.objects.update(unknown_sends=UnknownSends.RESEND)
    other_side.raises = [OutcomeUnknown("reset"), OutcomeUnknown("reset")]
    write("hello")
    work()
    assert [sent.resend for sent in other_side.sent] == [2]
    assert (answer().delivery_status, answer().resends) == (DeliveryStatus.QUEUED, 2)
    assert Conversation.objects.get().state == State.IN_PROGRESS


def test_it_is_not_sent_again_for_ever(
    write: Write, work: Work, other_side: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.attempt.LOOKUPS", (timedelta(0),))
    Workspace.objects.update(unknown_sends=UnknownSends.RESEND)
    other_side.raises = [OutcomeUnknown("reset") for _ in range(10)]
    write("hello")
    work()
    assert len(other_side.raises) == 6
    assert answer().delivery_status == DeliveryStatus.FAILED
    assert Conversation.objects.get().state == State.HUMAN


def test_a_callback_goes_before_the_list_and_the_policy(
    write: Write, other_side: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    Workspace.objects.update(unknown_sends=UnknownSends.RESEND)
    other_side.raises, other_side.can_be_searched = [OutcomeUnknown("reset")], False
    write("hello")
    run_ready_jobs()
    delivery.record_status(
        channel="console",
        workspace_id=answer().conversation.workspace_id,
        external_id="E1",
        message_id=answer().pk,
        status=DeliveryStatus.SENT,
        error_code="",
        error_reason="",
        now=timezone.now(),
    )
    monkeypatch.setattr("conversations.attempt.LOOKUPS", (timedelta(0),))
    Job.objects.filter(task="deliver_message").update(status=JobStatus.READY)
    run_ready_jobs()
    assert other_side.sent == []
    assert (answer().delivery_status, answer().external_id) == (DeliveryStatus.SENT, "E1")


def test_an_unknown_send_holds_back_the_later_ones_but_not_the_assistant(
    write: Write, other_side: Console, assistant: ScriptedAssistant
) -> None:
    other_side.raises, other_side.can_be_searched = [OutcomeUnknown("reset")], False
    write("hello")
    run_ready_jobs()
    write("and now?")
    run_ready_jobs()
    assert len(assistant.questions) == 2
    assert other_side.sent == []
    statuses = Job.objects.filter(task="deliver_message").order_by("pk").values_list("status", flat=True)
    assert list(statuses) == [JobStatus.SCHEDULED, JobStatus.BLOCKED]


def test_a_worker_that_lost_its_lease_does_not_send(
    write: Write, other_side: Console, assistant: ScriptedAssistant
) -> None:
    def lose_the_lease() -> None:
        Job.objects.filter(task="process_ai_response").update(attempt=F("attempt") + 1)

    assistant.meanwhile = [lose_the_lease]
    write("hello")
    run_ready_jobs()
    assert not Message.objects.filter(direction="outbound").exists()
    assert other_side.sent == []
    assert Message.objects.get().outcome == "waiting"


def test_a_person_is_told_also_when_the_job_dies_that_was_to_send_again(
    write: Write, work: Work, other_side: Console
) -> None:
    write("hello")
    work()
    Message.objects.filter(pk=answer().pk).update(delivery_status=DeliveryStatus.UNDELIVERED)
    give_up_delivery.handler(answer().pk)
    assert answer().delivery_status == DeliveryStatus.UNDELIVERED
    assert Conversation.objects.get().state == State.HUMAN
