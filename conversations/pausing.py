"""A channel account that must be put right first: its messages wait, uncharged, until a person says that it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils.translation import gettext_noop

from queueing.errors import Defer
from queueing.models import Job, JobStatus
from queueing.wake import wake

from .models import ChannelAccount, Message

logger = logging.getLogger(__name__)

LOOK = timedelta(minutes=15)  # resume() wakes what waits; only a job that looked just before it waits as long as this
BATCH = 500


def pause(account_id: int, *, reason: str, now: datetime) -> bool:
    """Let nothing leave by this channel account any more. Alerts once: False when it is paused already.

    Args:
        reason: for operators, without anybody's data: it is logged.
    """
    running = ChannelAccount.objects.filter(pk=account_id, paused_at=None)
    if not running.update(paused_at=now, paused_reason=reason[:300]):
        return False
    transaction.on_commit(partial(logger.error, "channel account %s is paused: %s", account_id, reason))
    return True


def resume(account: ChannelAccount, *, actor: str, now: datetime) -> int:
    """Let the messages of this channel account leave again, at once. Returns how many jobs were woken.

    Args:
        actor: who says that it is in order, for the log.
    """
    with transaction.atomic():
        paused = ChannelAccount.objects.filter(pk=account.pk).exclude(paused_at=None)
        if not paused.update(paused_at=None, paused_reason="", next_send_at=now):
            return 0
        woken = wake(_waiting_keys(account))
        transaction.on_commit(
            partial(logger.info, "channel account %s is resumed by %s: %s jobs", account.pk, actor, woken)
        )
    return woken


def wait_while_paused(account: ChannelAccount) -> None:
    """Raises Defer while the channel account is paused: nothing is charged to the job that asks."""
    if account.paused_at:
        raise Defer(gettext_noop("the channel account is paused"), after=LOOK)


def _waiting_keys(account: ChannelAccount) -> Iterator[str]:
    """The ordering keys of the jobs that wait for a later moment to send by this channel account."""
    scheduled = Job.objects.filter(task="deliver_message", status=JobStatus.SCHEDULED).order_by("run_after")
    keys = {payload["message_id"]: key for payload, key in scheduled.values_list("payload", "ordering_key")}
    ids = list(keys)
    for start in range(0, len(ids), BATCH):
        mine = Message.objects.filter(pk__in=ids[start : start + BATCH], channel_account=account)
        yield from (keys[pk] for pk in mine.values_list("pk", flat=True))
