"""A burst is queued here rather than refused there: nobody is given more than they take, and nobody waits for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from conversations import outbox, pacing
from conversations.models import Author, ChannelAccount, Contact, Conversation, DeliveryStatus, Message
from queueing.backends.immediate import run_ready_jobs
from queueing.errors import Defer
from queueing.models import Job, JobStatus
from queueing.promote import promote_due

from .console import Console

WORKERS = 4


@pytest.fixture
def moments(other_side: Console, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the other side was asked, by its own watch."""
    from .console import ConsoleChannel

    seen: list[float] = []
    send = ConsoleChannel.send

    def watched(self: ConsoleChannel, *args: object, **kwargs: object) -> object:
        seen.append(time.monotonic())
        return send(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ConsoleChannel, "send", watched)
    return seen


@pytest.fixture
def burst(account: ChannelAccount) -> Callable[[int], list[Message]]:
    def burst(count: int) -> list[Message]:
        """So many contacts are written to at once, each twice."""
        messages = []
        for number in range(count):
            now = timezone.now()
            contact, _ = Contact.objects.get_or_create(
                workspace=account.workspace,
                medium=account.medium,
                address=f"+1555010{number:04}",
                defaults={"created_at": now},
            )
            with transaction.atomic():
                conversation, _ = Conversation.objects.get_or_create(
                    workspace=account.workspace,
                    channel_account=account,
                    contact=contact,
                    defaults={"opened_at": now, "last_message_at": now},
                )
                for text in ("one", "two"):
                    messages += outbox.send(conversation, text, author=Author.AGENT, now=now)
        return messages

    return burst


def work_off(seconds: float) -> None:
    """One worker's loop: what is due is made ready, and run."""
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end and Job.objects.filter(finished_at=None).exists():
            with transaction.atomic():
                promote_due(timezone.now())
            run_ready_jobs()
            time.sleep(0.02)
    finally:
        connection.close()


def test_workers_together_do_not_exceed_the_rate_and_nobody_starves(
    account: ChannelAccount, other_side: Console, moments: list[float], burst: Callable[[int], list[Message]]
) -> None:
    rate = 20
    ChannelAccount.objects.update(messages_per_second=rate)
    messages = burst(30)

    with ThreadPoolExecutor(WORKERS) as workers:
        for worker in [workers.submit(work_off, 30) for _ in range(WORKERS)]:
            worker.result()

    assert len(moments) == len(messages) == 60
    assert set(Message.objects.values_list("delivery_status", flat=True)) == {DeliveryStatus.QUEUED}
    late = 0.15  # that a thread may be scheduled, or SQLite's lock given
    for first, moment in enumerate(moments):
        for number, other in enumerate(moments[first:], start=1):
            assert number <= rate * (other - moment + late) + 1
    assert moments[-1] - moments[0] < 3 * len(messages) / rate  # deferring does not waste the sender's time
    assert set(Job.objects.values_list("status", "failures")) == {(JobStatus.SUCCEEDED, 0)}
    for recipient in {sent.recipient for sent in other_side.sent}:
        assert [sent.text for sent in other_side.sent if sent.recipient == recipient] == ["one", "two"]


def test_who_must_wait_long_gives_the_thread_back(
    account: ChannelAccount, other_side: Console, moments: list[float], burst: Callable[[int], list[Message]]
) -> None:
    ChannelAccount.objects.update(messages_per_second=0.2)
    burst(4)
    started = time.monotonic()
    run_ready_jobs()
    assert time.monotonic() - started < 2
    assert len(moments) == 1
    waiting = Job.objects.filter(status=JobStatus.SCHEDULED).order_by("pk")
    waits = [(job.run_after - timezone.now()).total_seconds() for job in waiting]
    assert waits == sorted(waits)  # each for its own turn
    assert waits[0] < 15
    assert waits[-1] > 20


def test_the_channel_s_rate_holds_where_the_account_has_none(
    account: ChannelAccount, other_side: Console, burst: Callable[[int], list[Message]]
) -> None:
    other_side.on_air = timedelta(minutes=1)
    burst(2)
    run_ready_jobs()
    assert len(other_side.sent) == 1
    ChannelAccount.objects.update(messages_per_second=1000, next_send_at=None)
    Job.objects.filter(status=JobStatus.SCHEDULED).update(status=JobStatus.READY)
    run_ready_jobs()
    assert len(other_side.sent) == 4


def test_no_limit_reserves_nothing(
    account: ChannelAccount, other_side: Console, burst: Callable[[int], list[Message]]
) -> None:
    burst(5)
    run_ready_jobs()
    assert len(other_side.sent) == 10
    assert ChannelAccount.objects.get().next_send_at is None


@pytest.fixture
def two(account: ChannelAccount, burst: Callable[[int], list[Message]]) -> Iterator[tuple[Message, Message]]:
    first, second = burst(1)
    with transaction.atomic():
        yield first, second


def test_the_newer_yields_once_and_not_for_ever(two: tuple[Message, Message]) -> None:
    _, newer = two
    with pytest.raises(Defer):
        pacing.take_turn(newer, timedelta(seconds=2), yields=True)
    assert pacing.take_turn(newer, timedelta(seconds=2), yields=False) <= timezone.now()


def test_two_turns_are_never_the_same(two: tuple[Message, Message]) -> None:
    first, second = (pacing.take_turn(message, timedelta(seconds=0.4), yields=False) for message in two)
    assert second - first == timedelta(seconds=0.4)
