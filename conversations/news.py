"""What the provider tells of a message that we sent: it is merged, and what a failure asks for is done."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from . import delivery, outbox
from .channels import Remedy
from .models import DeliveryStatus


def hear(
    *,
    channel: str,
    workspace_id: int,
    external_id: str,
    message_id: int | None,
    resend: int,
    status: DeliveryStatus,
    error_code: str,
    error_reason: str,
    remedy: Remedy | None,
    now: datetime,
) -> bool:
    """Take one piece of news, whatever the order, and however often, in which it comes.

    Args:
        remedy: what the error asks for, if the news is a failure; the others are those of `delivery.record_status`.

    Returns False when no message of ours is meant.
    """
    with transaction.atomic(savepoint=False):
        news = delivery.record_status(
            channel=channel,
            workspace_id=workspace_id,
            external_id=external_id,
            message_id=message_id,
            resend=resend,
            status=status,
            error_code=error_code,
            error_reason=error_reason,
            now=now,
        )
        if news and news.moved and remedy:
            outbox.act_on(news.message_id, remedy, reason=error_code, now=now)
    return news is not None
