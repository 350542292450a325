"""Files are kept for as many days as their workspace says, and then deleted; that there was one stays visible."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from queueing.context import JobContext
from queueing.periodic import periodic
from queueing.tasks import task

from .models import Media, MediaState, Workspace

BATCH = 100
RESERVE_SECONDS = 60  # the next run goes on where this one had no time left


@periodic(every=timedelta(hours=1))
@task(takes_context=True, queue_name="maintenance", timeout=timedelta(minutes=10))
def prune_media(context: JobContext) -> None:
    """Delete the files that are older than `Workspace.media_days`, in batches."""
    now = timezone.now()
    for workspace in Workspace.objects.filter(media_days__gt=0):
        before = now - timedelta(days=workspace.media_days)
        while context.remaining() > RESERVE_SECONDS and _prune_batch(context, workspace, before) == BATCH:
            context.checkpoint()


def _prune_batch(context: JobContext, workspace: Workspace, before: datetime) -> int:
    """The files go first: one whose row says so is certainly gone, and deleting twice does no harm."""
    old = Media.objects.filter(
        state=MediaState.STORED, stored_at__lt=before, message__conversation__workspace=workspace
    ).order_by("stored_at")
    files = dict(old.values_list("pk", "file")[:BATCH])
    with context.outside():
        for name in filter(None, files.values()):
            default_storage.delete(name)
    with context.fenced():
        Media.objects.filter(pk__in=files, state=MediaState.STORED).update(state=MediaState.DELETED, file="")
    return len(files)
