"""Files and closed conversations are kept for as many days as their workspace says, and then deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from queueing.context import JobContext
from queueing.forget import forget
from queueing.periodic import periodic
from queueing.tasks import task

from .models import Conversation, Media, MediaState, Workspace

BATCH = 50
RESERVE_SECONDS = 60  # the next run goes on where this one had no time left


@periodic(every=timedelta(hours=1))
@task(takes_context=True, queue_name="maintenance", timeout=timedelta(minutes=10))
def prune_media(context: JobContext) -> None:
    """Delete the files that are older than `Workspace.media_days`; that there was one stays visible."""
    for workspace in Workspace.objects.filter(media_days__gt=0):
        _prune(context, _prune_files, workspace, days=workspace.media_days)


@periodic(every=timedelta(hours=1))
@task(takes_context=True, queue_name="maintenance", timeout=timedelta(minutes=10))
def prune_conversations(context: JobContext) -> None:
    """Delete what was closed longer ago than `Workspace.retention_days`."""
    for workspace in Workspace.objects.filter(retention_days__gt=0):
        _prune(context, _prune_closed, workspace, days=workspace.retention_days)


def _prune(
    context: JobContext,
    prune_batch: Callable[[JobContext, Workspace, datetime], int],
    workspace: Workspace,
    *,
    days: int,
) -> None:
    """In batches, the oldest first. The files go before their rows: a row that is there still names its file."""
    before = timezone.now() - timedelta(days=days)
    while context.remaining() > RESERVE_SECONDS and prune_batch(context, workspace, before) == BATCH:
        context.checkpoint()


def _prune_files(context: JobContext, workspace: Workspace, before: datetime) -> int:
    old = Media.objects.filter(
        state=MediaState.STORED, stored_at__lt=before, message__conversation__workspace=workspace
    ).order_by("stored_at")
    files = dict(old.values_list("pk", "file")[:BATCH])
    _delete_files(context, list(files.values()))
    with context.fenced():
        Media.objects.filter(pk__in=files, state=MediaState.STORED).update(state=MediaState.DELETED, file="")
    return len(files)


def _prune_closed(context: JobContext, workspace: Workspace, before: datetime) -> int:
    closed = Conversation.objects.filter(workspace=workspace, closed_at__lt=before).order_by("closed_at")
    ids = list(closed.values_list("pk", flat=True)[:BATCH])
    files = Media.objects.filter(message__conversation__in=ids).exclude(file="").values_list("file", flat=True)
    _delete_files(context, list(files))
    with context.fenced():
        forget({f"conversation:{pk}" for pk in ids})
        Conversation.objects.filter(pk__in=ids).delete()
    return len(ids)


def _delete_files(context: JobContext, names: list[str]) -> None:
    """Deleting one twice does no harm."""
    with context.outside():
        for name in filter(None, names):
            default_storage.delete(name)
