"""Messages of ours that the tests of statuses are about."""

from __future__ import annotations

from datetime import UTC, datetime

from conversations.models import Author, ChannelAccount, Contact, Conversation, DeliveryStatus, Direction, Message

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def outbound(
    account: ChannelAccount,
    *,
    status: DeliveryStatus = DeliveryStatus.QUEUED,
    external_id: str = "",
    contact: str = "+15550108888",
    text: str = "Hello",
) -> Message:
    """A message from `account`, in the contact's open conversation."""
    person, _ = Contact.objects.get_or_create(
        workspace=account.workspace, medium=account.medium, address=contact, defaults={"created_at": NOW}
    )
    conversation, _ = Conversation.objects.get_or_create(
        workspace=account.workspace,
        channel_account=account,
        contact=person,
        defaults={"opened_at": NOW, "last_message_at": NOW},
    )
    return Message.objects.create(
        conversation=conversation,
        channel_account=account,
        seq=conversation.take_seq(NOW),
        direction=Direction.OUTBOUND,
        author=Author.ASSISTANT,
        text=text,
        external_id=external_id,
        delivery_status=status,
        created_at=NOW,
    )
