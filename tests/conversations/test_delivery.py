"""News of what was sent, merged: whatever the order, the doubles and the haste in which it comes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import permutations, product

import pytest
from django.db import connection

from conversations import delivery
from conversations.channels import Receipt
from conversations.models import (
    Author,
    ChannelAccount,
    Contact,
    Conversation,
    DeliveryStatus,
    Direction,
    Medium,
    Message,
    Workspace,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ENDS = (DeliveryStatus.FAILED, DeliveryStatus.UNDELIVERED, DeliveryStatus.CANCELED)
UNRANKED = (DeliveryStatus.RECEIVED, DeliveryStatus.DRAFT, DeliveryStatus.SUPPRESSED)


@pytest.fixture
def store(db):
    workspace = Workspace.objects.create(name="Clinic", slug="clinic")
    account = ChannelAccount.objects.create(workspace=workspace, channel="pigeon", medium=Medium.SMS, address="+1555")
    contact = Contact.objects.create(workspace=workspace, medium=Medium.SMS, address="+1666", created_at=NOW)
    conversation = Conversation.objects.create(
        workspace=workspace, channel_account=account, contact=contact, opened_at=NOW, last_message_at=NOW
    )

    def store(status: DeliveryStatus, external_id: str = "", direction: Direction = Direction.OUTBOUND) -> Message:
        return Message.objects.create(
            conversation=conversation,
            channel_account=account,
            seq=conversation.messages.count() + 1,
            direction=direction,
            author=Author.ASSISTANT,
            external_id=external_id,
            delivery_status=status,
            created_at=NOW,
        )

    return store


def hear(message: Message, status: DeliveryStatus, **changes) -> bool:
    fields = {
        "channel": "pigeon",
        "workspace_id": message.conversation.workspace_id,
        "external_id": "SM1",
        "message_id": None,
        "status": status,
        "error_code": "",
        "error_reason": "",
        "now": NOW,
    }
    return delivery.record_status(**{**fields, **changes})


def test_every_pair_moves_up_by_rank_and_never_down(store):
    message = store(DeliveryStatus.QUEUED, "SM1")
    for before, after in product(DeliveryStatus, delivery.RANK):
        Message.objects.filter(pk=message.pk).update(delivery_status=before)
        assert hear(message, after)
        message.refresh_from_db()
        moves = before not in UNRANKED and delivery.RANK[after] > delivery.RANK[before]
        assert message.delivery_status == (after if moves else before)


def test_an_end_stays_unless_a_receipt_comes_after_it(store):
    message = store(DeliveryStatus.QUEUED, "SM1")
    for end, receipt in product(ENDS, (DeliveryStatus.DELIVERED, DeliveryStatus.READ)):
        Message.objects.filter(pk=message.pk).update(delivery_status=end, error_code="30008")
        for other in (DeliveryStatus.QUEUED, DeliveryStatus.SENT, *ENDS):
            hear(message, other)
        message.refresh_from_db()
        assert message.delivery_status == end
        hear(message, receipt)
        message.refresh_from_db()
        assert (message.delivery_status, message.error_code) == (receipt, "")


def test_one_set_of_news_ends_alike_in_every_order(store):
    message = store(DeliveryStatus.SENDING)
    news = (DeliveryStatus.QUEUED, DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.DELIVERED)
    for order in permutations(news):
        Message.objects.filter(pk=message.pk).update(delivery_status=DeliveryStatus.SENDING, external_id="")
        for status in order:
            hear(message, status, message_id=message.pk)
        message.refresh_from_db()
        assert message.delivery_status == DeliveryStatus.DELIVERED


def test_the_reason_of_a_failure_is_kept(store):
    message = store(DeliveryStatus.SENT, "SM1")
    hear(message, DeliveryStatus.UNDELIVERED, error_code="30003", error_reason="unreachable " * 100)
    message.refresh_from_db()
    assert message.error_code == "30003"
    assert len(message.error_reason) == 300


@pytest.mark.parametrize(
    "changes",
    [
        {"external_id": "SM2"},
        {"external_id": ""},
        {"external_id": "", "message_id": 1},
        {"external_id": "SM2", "message_id": 999_999},
        {"channel": "other"},
        {"workspace_id": 999_999},
    ],
)
def test_news_of_no_message_of_ours_is_not_ours(store, changes):
    message = store(DeliveryStatus.QUEUED, "SM1")
    nameless = store(DeliveryStatus.SENDING)
    assert not hear(message, DeliveryStatus.READ, **changes)
    message.refresh_from_db(), nameless.refresh_from_db()
    assert message.delivery_status == DeliveryStatus.QUEUED
    assert nameless.delivery_status == DeliveryStatus.SENDING


def test_an_inbound_message_is_never_what_is_meant(store):
    message = store(DeliveryStatus.RECEIVED, "SM1", Direction.INBOUND)
    assert not hear(message, DeliveryStatus.READ)


def test_old_news_still_teaches_the_external_id(store):
    message = store(DeliveryStatus.FAILED)
    assert hear(message, DeliveryStatus.SENT, message_id=message.pk)
    message.refresh_from_db()
    assert (message.external_id, message.delivery_status) == ("SM1", DeliveryStatus.FAILED)


def test_the_answer_to_a_send_does_not_take_back_a_faster_callback(store):
    message = store(DeliveryStatus.SENDING)
    hear(message, DeliveryStatus.DELIVERED, message_id=message.pk)
    delivery.record_sent(message.pk, Receipt("SM1", DeliveryStatus.QUEUED))
    message.refresh_from_db()
    assert (message.external_id, message.delivery_status, message.sent_at) == ("SM1", DeliveryStatus.DELIVERED, NOW)


@pytest.mark.parametrize("status", DeliveryStatus)
def test_we_call_failed_only_what_the_provider_has_not_acknowledged(store, status):
    message = store(status)
    failed = delivery.record_failure(message.pk, code="21211", reason="not a number")
    message.refresh_from_db()
    assert failed == (status in delivery.OURS)
    assert message.delivery_status == (DeliveryStatus.FAILED if failed else status)


@pytest.mark.django_db(transaction=True)
def test_threads_that_hear_everything_at_once_leave_the_highest(store):
    news = [DeliveryStatus.QUEUED, DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.DELIVERED]
    message = store(DeliveryStatus.SENDING)

    def listen(status: DeliveryStatus) -> bool:
        try:
            return hear(message, status, message_id=message.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        for _ in range(10):
            Message.objects.filter(pk=message.pk).update(delivery_status=DeliveryStatus.SENDING, external_id="")
            assert all(threads.map(listen, news * 4))
            message.refresh_from_db()
            assert (message.delivery_status, message.external_id) == (DeliveryStatus.DELIVERED, "SM1")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's query plans")
def test_no_statement_reads_the_whole_table(store, django_assert_num_queries):
    message = store(DeliveryStatus.QUEUED, "SM1")
    with django_assert_num_queries(2) as statements:
        hear(message, DeliveryStatus.SENT, message_id=message.pk)
    with connection.cursor() as cursor:
        for statement in statements.captured_queries:
            cursor.execute("EXPLAIN QUERY PLAN " + statement["sql"])
            steps = [step for *_, step in cursor.fetchall()]
            assert steps
            assert not [step for step in steps if step.startswith("SCAN")], steps
