"""Closed conversations are kept for as many days as their workspace says, then deleted with all that hangs on them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from queueing.context import JobContext
from queueing.forget import forget
from queueing.periodic import periodic
from queueing.tasks import task

from .models import Conversation, Media, Workspace

BATCH = 50
RESERVE_SECONDS = 60  # the next run goes on where this one had no time left


@periodic(every=timedelta(hours=1))
@task(takes_context=True, queue_name="maintenance", timeout=timedelta(minutes=10))
def prune_conversations(context: JobContext) -> None:
    """Delete what was closed longer ago than `Workspace.retention_days`, the longest first, in batches."""
    now = timezone.now()
    for workspace in Workspace.objects.filter(retention_days__gt=0):
        before = now - timedelta(days=workspace.retention_days)
        while context.remaining() > RESERVE_SECONDS and _prune_batch(context, workspace, before) == BATCH:
            context.checkpoint()


def _prune_batch(context: JobContext, workspace: Workspace, before: datetime) -> int:
    """The files go first: a row that is there still names its file, and deleting twice does no harm."""
    closed = Conversation.objects.filter(workspace=workspace, closed_at__lt=before).order_by("closed_at")
    ids = list(closed.values_list("pk", flat=True)[:BATCH])
    files = list(Media.objects.filter(message__conversation__in=ids).exclude(file="").values_list("file", flat=True))
    with context.outside():
        for name in files:
            default_storage.delete(name)
    with context.fenced():
        forget({f"conversation:{pk}" for pk in ids})
        Conversation.objects.filter(pk__in=ids).delete()
    return len(ids)
