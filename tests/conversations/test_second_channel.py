"""The channel port is provider-free: the whole way of a message over the channel of a few lines in console.py."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from conversations import delivery
from conversations.models import ChannelAccount, DeliveryStatus, Message, Outcome

from .console import Console
from .scripted import ScriptedAssistant


def test_a_message_is_answered_and_its_answer_is_read_over_a_channel_that_no_product_knows(
    write: Callable[..., Message],
    work: Callable[[], None],
    other_side: Console,
    account: ChannelAccount,
    assistant: ScriptedAssistant,
) -> None:
    written = write("Olá")
    work()
    [sent] = other_side.sent
    assert (sent.sender, sent.recipient, sent.text) == (account.address, "+15550107777", "answer 1")
    assert other_side.typing == [written.external_id]

    answer = Message.objects.get(direction="outbound")
    assert (answer.external_id, answer.delivery_status) == (f"console-{sent.message_id}", DeliveryStatus.QUEUED)
    for news in (DeliveryStatus.DELIVERED, DeliveryStatus.READ, DeliveryStatus.SENT):
        delivery.record_status(
            channel="console",
            workspace_id=account.workspace_id,
            external_id=answer.external_id,
            message_id=None,
            status=news,
            error_code="",
            error_reason="",
            now=timezone.now(),
        )
    answer.refresh_from_db()
    written.refresh_from_db()
    assert (answer.delivery_status, written.outcome) == (DeliveryStatus.READ, Outcome.ANSWERED)
