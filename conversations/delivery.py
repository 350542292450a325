"""What became of a message that was sent: statuses are merged by rank, so no late or repeated news moves one back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from .channels import Receipt
from .models import DeliveryStatus, Direction, Message

# News wins over every status of a lower rank. The ends share one, so the first of them stays; a delivered or read that
# comes after them wins, because a provider can be wrong about a failure but not about a receipt. Inbound messages,
# drafts and suppressed ones have no rank: no news moves them.
RANK = {
    DeliveryStatus.PENDING: 0,
    DeliveryStatus.SENDING: 1,
    DeliveryStatus.UNKNOWN: 2,
    DeliveryStatus.QUEUED: 3,
    DeliveryStatus.SENT: 4,
    DeliveryStatus.CANCELED: 5,
    DeliveryStatus.FAILED: 5,
    DeliveryStatus.UNDELIVERED: 5,
    DeliveryStatus.DELIVERED: 6,
    DeliveryStatus.READ: 7,
}
OURS = (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN)  # the provider has not acknowledged it


# Those from which a send may start: the last two when what the provider had accepted is sent again.
SENDABLE = (DeliveryStatus.PENDING, DeliveryStatus.FAILED, DeliveryStatus.UNDELIVERED)

EARLIER = "earlier_ids"  # in a message's details


@dataclass(frozen=True, slots=True)
class News:
    """What was heard of a message. Told again, it moves nothing, so what follows from it is done once."""

    message_id: int
    moved: bool


def begin(message: Message, *, resend: int, now: datetime) -> bool:
    """Mark a message as being sent. False when it must not be: it has arrived, or was taken back.

    The id under which the provider knows the last send is kept, so that no look-up takes that one for this one.

    Args:
        resend: which send this is. News of an earlier one does not count from here on.
    """
    earlier = {EARLIER: [*earlier_ids(message), message.external_id]} if message.external_id else {}
    begun = Message.objects.filter(pk=message.pk, delivery_status__in=SENDABLE).update(
        delivery_status=DeliveryStatus.SENDING,
        sending_since=now,
        external_id="",
        details=message.details | earlier,
        resends=resend,
        error_code="",
        error_reason="",
    )
    return begun == 1


def earlier_ids(message: Message) -> list[str]:
    """External ids of those sends of the message that failed, and were followed by another."""
    ids: list[str] = message.details.get(EARLIER, [])
    return ids


def send_again(message: Message) -> bool:
    """Let a message be sent once more of whose last send nobody knows. False when another job has decided on it."""
    undecided = Message.objects.filter(
        pk=message.pk,
        delivery_status__in=(DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN),
        sending_since=message.sending_since,
    )
    return bool(
        undecided.update(delivery_status=DeliveryStatus.PENDING, sending_since=None, resends=message.resends + 1)
    )


def settle(message_id: int, status: DeliveryStatus, **changes: object) -> bool:
    """Move a message that the provider has not acknowledged. A callback that came first wins: it knows more."""
    ours = Message.objects.filter(pk=message_id, delivery_status__in=OURS)
    return ours.update(delivery_status=status, **changes) == 1


def has_failed(message_id: int) -> bool:
    """Whether the message has not arrived, as far as is known."""
    failed = (DeliveryStatus.FAILED, DeliveryStatus.UNDELIVERED)
    return Message.objects.filter(pk=message_id, delivery_status__in=failed).exists()


def record_status(
    *,
    channel: str,
    workspace_id: int,
    external_id: str,
    message_id: int | None,
    status: DeliveryStatus,
    error_code: str,
    error_reason: str,
    now: datetime,
    resend: int = 0,
) -> News | None:
    """Merge one piece of news from the provider. None when no message of ours is meant.

    Args:
        channel: the key in settings.CHANNELS that the news comes from.
        workspace_id: the tenant that the provider's credentials belong to; messages of others are not touched.
        external_id: the provider's id of the message.
        message_id: our own id, where the provider gave it back; it finds a message whose external id we never learnt.
        resend: which send of that message the news is about, as the provider gave it back.
    """
    known = Q(external_id=external_id) & ~Q(external_id="")  # SQLite uses the partial index only with its own condition
    nameless = Q(pk=message_id, external_id="", resends=resend) if message_id and external_id else Q(pk__in=[])
    pk = (
        Message.objects.filter(
            known | nameless,
            direction=Direction.OUTBOUND,
            channel_account__channel=channel,
            channel_account__workspace_id=workspace_id,
        )
        .order_by("-external_id")  # the message that holds the id goes before one that only might
        .values_list("pk", flat=True)
        .first()
    )
    if pk is None:
        return None
    moved = _merge(pk, external_id, status, error_code=error_code, error_reason=error_reason[:300], now=now)
    return News(pk, moved)


def record_sent(message_id: int, receipt: Receipt) -> None:
    """Merge the provider's answer to a send. News that was faster than the answer stays."""
    status = DeliveryStatus(receipt.status)
    _merge(message_id, receipt.external_id, status, error_code="", error_reason="", now=timezone.now())


def record_failure(message_id: int, *, code: str, reason: str) -> bool:
    """Mark a message as not sent, or given up. False when the provider is known to have it."""
    return settle(message_id, DeliveryStatus.FAILED, error_code=code[:20], error_reason=reason[:300])


def _merge(
    pk: int, external_id: str, status: DeliveryStatus, *, error_code: str, error_reason: str, now: datetime
) -> bool:
    """Each UPDATE names its condition on the row itself, so PostgreSQL looks again at a row that changed meanwhile."""
    row = Message.objects.filter(pk=pk, external_id__in=("", external_id))
    lower = [other for other, rank in RANK.items() if rank < RANK[status]]
    moved = row.filter(delivery_status__in=lower).update(
        external_id=external_id,
        delivery_status=status,
        error_code=error_code,
        error_reason=error_reason,
        sent_at=Coalesce("sent_at", now),
    )
    if not moved:
        row.filter(external_id="").update(external_id=external_id)  # old news still teaches the id
    return bool(moved)
