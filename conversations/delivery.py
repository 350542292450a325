"""What became of a message that was sent: statuses are merged by rank, so late or repeated news never moves one back."""

from __future__ import annotations

from datetime import datetime

from .models import DeliveryStatus


def record_status(
    *, channel: str, external_id: str, message_id: int | None, status: DeliveryStatus, error_code: str, error_reason: str, now: datetime
) -> bool:
    """Merge one piece of news from the provider. False when no message of ours is meant.

    Args:
        channel: the key in settings.CHANNELS that the news comes from.
        external_id: the provider's id of the message.
        message_id: our own id, where the provider gave it back; it finds a message whose external id we never learnt.
    """
    raise NotImplementedError
