"""Answers what a contact wrote: reads all that waits, asks the assistant, stores one answer with its deliver jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from queueing.backoff import Backoff
from queueing.context import JobContext
from queueing.errors import Defer, Retry
from queueing.tasks import Debounce, task

from . import handoff, knowledge, lifecycle, outbox, transcription, window
from .assistants import AssistantError, AssistantUnavailable, Question, Reply, Turn, get_assistant
from .channels import Channel, SendLater, get_channel
from .models import Author, Conversation, DeliveryStatus, Message, Outcome, State
from .outbound import keep_draft

HISTORY = 20  # earlier messages that the assistant is shown
LISTENING = timedelta(seconds=1)  # until it is looked again whether a voice note is text by now

ANSWERABLE = (State.PENDING, State.IN_PROGRESS, State.IDLE)


def answer_later(conversation: Conversation, *, correlation_id: str = "") -> None:
    """Enqueue the one job that will answer this conversation; one that waits already covers what was just stored."""
    process_ai_response.using(
        debounce=Debounce(
            quiet=timedelta(seconds=settings.REPLY_DEBOUNCE_SECONDS),
            longest=timedelta(seconds=settings.REPLY_DEBOUNCE_MAX_SECONDS),
        ),
        ordering_key=f"answer:{conversation.pk}",
        unique_key=f"answer:{conversation.pk}",
        fairness_key=f"workspace:{conversation.workspace_id}",
        subject=f"conversation:{conversation.pk}",
        correlation_id=correlation_id,
        priority=window.priority(conversation, timezone.now()),
    ).enqueue(conversation_id=conversation.pk)


@task(
    takes_context=True,
    timeout=timedelta(seconds=90),
    max_attempts=8,
    max_age=timedelta(hours=1),
    backoff=Backoff(base=timedelta(seconds=2), maximum=timedelta(minutes=1)),
    permanent=(AssistantError,),
    on_dead="give_up_answering",
)
def process_ai_response(context: JobContext, conversation_id: int) -> None:
    """Answer everything in the conversation that waits for an answer, as one."""
    burst = _read(conversation_id)
    if burst is None:
        return
    show_typing = _typing(burst)
    try:
        with context.outside() as seconds:
            show_typing()
            reply = _reply(burst, timeout=min(seconds, settings.AI_TIMEOUT_SECONDS))
    except AssistantUnavailable as error:
        raise Retry(str(error), after=error.after) from error
    with context.complete():
        _store(burst, reply)


def _reply(burst: _Burst, *, timeout: float) -> Reply:
    """The assistant's answer; where nobody could listen to a voice note, that is said as well, or alone."""
    if not burst.unheard:
        return get_assistant().reply(burst.question, timeout=timeout)
    with translation.override(burst.question.locale):
        apology = transcription.cannot_listen()
    if not burst.question.texts:
        return Reply(apology)
    reply = get_assistant().reply(burst.question, timeout=timeout)
    return replace(reply, text=f"{reply.text}\n\n{apology}")


def _typing(burst: _Burst) -> Callable[[], None]:
    """What shows the contact that an answer is being written. A channel that cannot send now delays only the send."""
    try:
        prepared = burst.channel.prepare(burst.account_id)
    except SendLater:
        return lambda: None
    return partial(burst.channel.show_typing, prepared, burst.last_external_id)


@task
def give_up_answering(conversation_id: int) -> None:
    """The job that should have answered is dead: tell the contact kindly, and give the conversation to a person."""
    now = timezone.now()
    with transaction.atomic():
        conversation = (
            Conversation.objects.select_for_update(of=("self",)).select_related("workspace").get(pk=conversation_id)
        )
        waiting = Message.objects.filter(conversation=conversation, outcome=Outcome.WAITING)
        if not waiting.exists():
            return
        handoff.hand_over(conversation, actor="system", reason=gettext_noop("the assistant could not answer"), now=now)
        with translation.override(conversation.workspace.locale):
            apology = _("Sorry, I cannot answer right now. Someone from our team will write to you here.")
        outbox.send(conversation, apology, author=Author.SYSTEM, now=now)


@dataclass(frozen=True, slots=True)
class _Burst:
    """The unanswered messages, and the token that their answer must still hold when it is stored."""

    conversation_id: int
    account_id: int
    channel: Channel
    handoff_token: int
    answered_seq: int
    message_ids: tuple[int, ...]
    first_seq: int
    last_seq: int
    last_external_id: str
    unheard: bool  # there is a voice note among them that is not text
    question: Question


def _read(conversation_id: int) -> _Burst | None:
    conversation = Conversation.objects.select_related("workspace", "contact", "channel_account").get(
        pk=conversation_id
    )
    if conversation.state not in ANSWERABLE:
        return None
    unanswered = Message.objects.filter(conversation=conversation, outcome=Outcome.WAITING)
    waiting = list(unanswered.prefetch_related("media").order_by("seq"))
    if not waiting:
        return None
    if transcription.is_under_way(waiting, now=timezone.now()):
        raise Defer(gettext_noop("a voice message is being transcribed"), after=LISTENING)
    earlier = (
        Message.objects.filter(conversation=conversation, seq__lt=waiting[-1].seq)
        .exclude(outcome=Outcome.WAITING)
        .exclude(delivery_status=DeliveryStatus.DRAFT)
        .prefetch_related("media")
        .order_by("-seq")[:HISTORY]
    )
    heard = [message for message in waiting if not transcription.is_unheard(message)]
    texts = tuple(_words(message) for message in heard)
    workspace = conversation.workspace
    return _Burst(
        conversation_id=conversation.pk,
        account_id=conversation.channel_account_id,
        channel=get_channel(conversation.channel_account.channel),
        handoff_token=conversation.handoff_token,
        answered_seq=conversation.answered_seq,
        message_ids=tuple(message.pk for message in waiting),
        first_seq=waiting[0].seq,
        last_seq=waiting[-1].seq,
        last_external_id=waiting[-1].external_id,
        unheard=len(heard) < len(waiting),
        question=Question(
            workspace_id=workspace.pk,
            workspace_name=workspace.name,
            instructions=workspace.instructions,
            locale=workspace.locale,
            contact_name=conversation.contact.name,
            history=tuple(Turn(message.author, _words(message)) for message in reversed(earlier)),
            texts=texts,
            knowledge=knowledge.search(workspace_id=workspace.pk, texts=texts),
        ),
    )


def _words(message: Message) -> str:
    """What an assistant that reads only text is shown of a message."""
    if spoken := transcription.spoken(message):
        return f"{message.text}\n{spoken}".strip()
    return message.text if message.kind == "text" else f"[{message.kind}] {message.text}".strip()


def _store(burst: _Burst, reply: Reply) -> None:
    """Store the answer, unless it was overtaken: by a person, by a STOP, or by newer messages of the same burst."""
    now = timezone.now()
    conversation = (
        Conversation.objects.select_for_update(of=("self",))
        .select_related("contact", "channel_account", "workspace")
        .get(pk=burst.conversation_id)
    )
    answered = Message.objects.filter(pk__in=burst.message_ids, outcome=Outcome.WAITING)
    if conversation.handoff_token != burst.handoff_token or conversation.state not in ANSWERABLE:
        keep_draft(
            conversation, reply.text, author=Author.ASSISTANT, now=now, reason=gettext_noop("overtaken by a person")
        )
    elif conversation.contact.opted_out_at:
        keep_draft(
            conversation, reply.text, author=Author.ASSISTANT, now=now, reason=gettext_noop("the contact has opted out")
        )
        answered.update(outcome=Outcome.SUPPRESSED, outcome_reason=gettext_noop("the contact has opted out"))
    elif _superseded(burst, conversation, now):
        keep_draft(
            conversation, reply.text, author=Author.ASSISTANT, now=now, reason=gettext_noop("newer messages came")
        )
        Conversation.objects.filter(pk=conversation.pk).update(superseded_seq=burst.first_seq)
        answer_later(conversation)
    else:
        _answer(burst, reply, conversation, now)


def _superseded(burst: _Burst, conversation: Conversation, now: datetime) -> bool:
    """Whether one later answer should cover this burst and what came meanwhile.

    Once per burst at most, and not past the maximum wait: someone who writes every three seconds is answered too.
    """
    if conversation.superseded_seq == burst.first_seq:
        return False
    waiting = Message.objects.filter(conversation=conversation, outcome=Outcome.WAITING)
    first = waiting.filter(seq=burst.first_seq).values_list("created_at", flat=True).first()
    longest = timedelta(seconds=settings.REPLY_DEBOUNCE_MAX_SECONDS)
    return first is not None and now - first < longest and waiting.filter(seq__gt=burst.last_seq).exists()


def _answer(burst: _Burst, reply: Reply, conversation: Conversation, now: datetime) -> None:
    row = Conversation.objects.filter(pk=conversation.pk, answered_seq=burst.answered_seq)
    if not row.update(answered_seq=burst.last_seq):
        raise lifecycle.Changed(f"conversation {conversation.pk} was answered meanwhile")
    parts = outbox.send(conversation, reply.text, author=Author.ASSISTANT, now=now, answers_seq=burst.first_seq)
    if not parts:  # too late for free text, and a person has it now
        return
    messages = Message.objects.filter(pk__in=burst.message_ids)
    messages.update(outcome=Outcome.MERGED, answer=parts[0])
    messages.filter(seq=burst.last_seq).update(outcome=Outcome.ANSWERED)
    if conversation.state != State.IN_PROGRESS:
        lifecycle.move(conversation, State.IN_PROGRESS, actor="assistant", reason=gettext_noop("answered"), now=now)
    if reply.handoff:
        handoff.hand_over(
            conversation, actor="assistant", reason=reply.handoff_reason or gettext_noop("asked for a person"), now=now
        )
