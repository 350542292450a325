"""The files that contacts send: fetched by a job, looked at, and stored where only operators see them."""

from __future__ import annotations

from datetime import timedelta
from io import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import IO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.utils import timezone
from django.utils.translation import gettext_noop

from queueing.backoff import Backoff
from queueing.context import JobContext
from queueing.errors import Retry
from queueing.tasks import task

from . import transcription
from .channels import Channel, FileLater, FileMissing, FileRefused, SendLater, get_channel
from .media_kinds import HEAD, sniff
from .models import Media, MediaState, Message
from .models.message import media_path

MAX_FILES = 10  # of one message
FIRST_WAITS = (timedelta(seconds=1), timedelta(seconds=3))  # shortly after a message its files may not be there yet
IN_MEMORY = 1024 * 1024  # bytes of a file before it is written to the disk, while it comes


def fetch_later(message: Message) -> None:
    """Enqueue the job that fetches the files of `message`, in the transaction that stores it."""
    fetch_media.using(
        ordering_key=f"media:{message.pk}",
        unique_key=f"media:{message.pk}",
        fairness_key=f"workspace:{message.conversation.workspace_id}",
        subject=f"conversation:{message.conversation_id}",
        correlation_id=message.external_id,
    ).enqueue(message_id=message.pk)


@task(
    takes_context=True,
    timeout=timedelta(minutes=2),
    max_attempts=10,
    backoff=Backoff(base=timedelta(seconds=5), maximum=timedelta(minutes=10)),
    on_dead="give_up_media",
)
def fetch_media(context: JobContext, message_id: int) -> None:
    """Fetch what waits of a message's files, one after the other; the job is tried again for those that did not come.

    A file that was stored stays so: a later attempt begins after it.
    """
    message = Message.objects.select_related("channel_account").get(pk=message_id)
    channel = get_channel(message.channel_account.channel)
    later: Exception | None = None
    for media in _waiting(message_id):
        try:
            _fetch(context, media, channel, message.channel_account_id)
        except FileRefused as error:
            _close(context, media, MediaState.REFUSED, str(error))
        except (FileLater, FileMissing, SendLater) as error:
            later = error
    if later is not None:
        waits = FIRST_WAITS[context.job.failures :] if isinstance(later, FileMissing) else ()
        raise Retry(str(later), after=waits[0] if waits else None)


@task
def give_up_media(message_id: int) -> None:
    """The job that should have fetched them is dead: what still waits is lost."""
    for media in _waiting(message_id):
        if media.file:
            default_storage.delete(str(media.file))
    Media.objects.filter(message=message_id, state=MediaState.WAITING).update(
        state=MediaState.LOST, reason=gettext_noop("the file could not be fetched"), file=""
    )


def _waiting(message_id: int) -> list[Media]:
    waiting = Media.objects.filter(message=message_id, state=MediaState.WAITING)
    return list(waiting.select_related("message__conversation").order_by("position"))


def _fetch(context: JobContext, media: Media, channel: Channel, account_id: int) -> None:
    if media.position >= MAX_FILES:
        raise FileRefused(gettext_noop("the message has too many files"))
    prepared = channel.prepare(account_id)
    with SpooledTemporaryFile(max_size=IN_MEMORY) as content:
        with context.outside() as seconds:
            timeout = min(seconds, settings.MEDIA_TIMEOUT_SECONDS)
            channel.fetch(media.source_url, prepared, content, limit=settings.MEDIA_MAX_BYTES, timeout=timeout)
        size = content.seek(0, SEEK_END)
        content.seek(0)
        if size == 0:
            raise FileMissing(gettext_noop("the file is empty"))
        kind = sniff(content.read(HEAD), announced=media.content_type)
        if kind is None:
            raise FileRefused(gettext_noop("the file is of a kind that is not kept"))
        _store(context, media, content, *kind, size)


def _store(context: JobContext, media: Media, content: IO[bytes], content_type: str, suffix: str, size: int) -> None:
    """The file's name is committed before the file is written, so that no file is ever one that nobody knows of."""
    abandoned, name = str(media.file), media_path(media, f"file{suffix}")
    with context.fenced():
        Media.objects.filter(pk=media.pk).update(file=name)
    content.seek(0)
    with context.outside():
        if abandoned:  # an earlier attempt was ended while it wrote
            default_storage.delete(abandoned)
        stored = default_storage.save(name, File(content))
    with context.fenced():
        Media.objects.filter(pk=media.pk, state=MediaState.WAITING).update(
            state=MediaState.STORED,
            file=stored,
            size=size,
            content_type=content_type,
            stored_at=timezone.now(),
        )
        if transcription.is_speech(content_type):
            transcription.transcribe_later(media)


def _close(context: JobContext, media: Media, state: MediaState, reason: str) -> None:
    with context.fenced():
        Media.objects.filter(pk=media.pk, state=MediaState.WAITING).update(state=state, reason=reason[:300])
