"""Voice notes as text, by any server that has OpenAI's transcription endpoint: OpenAI's own, or one of faster-whisper.

https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import IO

from django.conf import settings
from django.core.files.storage import default_storage
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from queueing import event_loop
from queueing.backoff import Backoff
from queueing.context import JobContext
from queueing.errors import Discard, Retry
from queueing.tasks import task

from .models import Media, MediaState, Message

LONGEST_WAIT = timedelta(seconds=60)  # that an answer waits for what was said, after the message came


def is_speech(content_type: str) -> bool:
    return content_type.startswith("audio/")


def transcribe_later(media: Media) -> None:
    """Enqueue the transcription of a file that is being stored, in that transaction; without an endpoint, note it."""
    if not settings.TRANSCRIPTION_BASE_URL:
        Media.objects.filter(pk=media.pk).update(reason=gettext_noop("no transcription is set up"))
        return
    transcribe_media.using(
        fairness_key=f"workspace:{media.message.conversation.workspace_id}",
        subject=f"conversation:{media.message.conversation_id}",
        correlation_id=media.message.external_id,
    ).enqueue(media_id=media.pk)


@task(
    takes_context=True,
    timeout=timedelta(seconds=90),
    max_attempts=5,
    backoff=Backoff(base=timedelta(seconds=2), maximum=timedelta(minutes=1)),
    on_dead="give_up_transcription",
)
def transcribe_media(context: JobContext, media_id: int) -> None:
    """Write down what is said in a stored voice note."""
    media = Media.objects.filter(pk=media_id, state=MediaState.STORED, transcript="").first()
    if media is None:
        return
    with context.outside() as seconds, default_storage.open(str(media.file)) as content:
        text = _transcribe(content, media, timeout=min(seconds, settings.TRANSCRIPTION_TIMEOUT_SECONDS))
    if not text:
        raise Discard(gettext_noop("nothing was understood"))
    with context.complete():
        Media.objects.filter(pk=media_id).update(transcript=text)


@task
def give_up_transcription(media_id: int) -> None:
    """The job that should have written it down is dead."""
    Media.objects.filter(pk=media_id, transcript="").update(reason=gettext_noop("it could not be transcribed"))


def is_under_way(messages: list[Message], *, now: datetime) -> bool:
    """Whether one of `messages` is a voice note that may soon be text."""
    recent = [message for message in messages if now - message.created_at < LONGEST_WAIT]
    return any(_may_become_text(media) for message in recent for media in message.media.all())


def _may_become_text(media: Media) -> bool:
    if not is_speech(media.content_type) or media.transcript or media.reason:
        return False
    return media.state in (MediaState.WAITING, MediaState.STORED)


def spoken(message: Message) -> str:
    """What was said in the voice notes of a message."""
    return "\n".join(media.transcript for media in message.media.all() if media.transcript)


def is_unheard(message: Message) -> bool:
    """Whether nobody could listen to the message, and nothing was written with it."""
    return not message.text and message.kind == "audio" and not spoken(message)


def cannot_listen() -> str:
    """What the contact is told then, in the active language."""
    return _("Sorry, I cannot listen to voice messages here. Could you write your question instead?")


def _transcribe(content: IO[bytes], media: Media, *, timeout: float) -> str:
    """Raises Retry for what may pass, and Discard for what will not."""
    from openai import APIConnectionError, APIStatusError, AsyncOpenAI  # takes a second that only a worker should pay

    async def ask() -> str:
        async with AsyncOpenAI(
            base_url=settings.TRANSCRIPTION_BASE_URL,
            api_key=settings.TRANSCRIPTION_API_KEY or "none",
            max_retries=0,  # the queue tries again
        ) as client:
            answer = await client.audio.transcriptions.create(
                model=settings.TRANSCRIPTION_MODEL, file=(str(media.file).rpartition("/")[2], recording)
            )
        return answer.text.replace("\x00", "").strip()

    recording = content.read()  # read here: the event loop is everybody's
    # `from None`: the library's messages quote what was sent and answered, and tracebacks are kept.
    try:
        return event_loop.run(ask(), timeout=timeout)
    except (TimeoutError, APIConnectionError) as error:
        raise Retry(f"the transcription server does not answer: {type(error).__name__}") from None
    except APIStatusError as error:
        reason = f"the transcription server refuses: {error.status_code}"
        if error.status_code in (408, 409, 429) or error.status_code >= 500:
            raise Retry(reason) from None
        raise Discard(reason) from None
