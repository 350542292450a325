"""Answers what a contact wrote: reads all that waits, asks the assistant, stores one answer with its deliver jobs."""

from __future__ import annotations

import time
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

from . import after_hours, circles, handoff, knowledge, lifecycle, memory, outbox, transcription, window
from .assistants import AssistantError, AssistantUnavailable, OverBudget, Question, Reply, get_assistant
from .assistants.choice import Choice, choose
from .assistants.tools import offered
from .channels import Channel, SendLater, get_channel
from .models import Author, Conversation, Message, Outcome, State, Usage
from .outbound import keep_draft
from .usage import Ledger

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
    if burst.goes_in_circles:
        with context.complete():
            _give_up(conversation_id, reason=circles.REASON)
        return
    show_typing = _typing(burst)
    ledger = Ledger(burst.question.workspace_id, conversation_id, "answer")
    try:
        with context.outside() as seconds:
            show_typing()
            reply = _reply(burst, ledger, ends=time.monotonic() + seconds)
    except AssistantUnavailable as error:
        raise Retry(str(error), after=error.after) from error
    except OverBudget as error:
        with context.complete():
            _give_up(conversation_id, reason=str(error))
        return
    with context.complete():
        _store(burst, reply)
        Usage.objects.filter(pk__in=ledger.rows).update(
            message=Message.objects.filter(conversation=conversation_id, answers_seq=burst.first_seq, part=0).first()
        )


def _reply(burst: _Burst, ledger: Ledger, *, ends: float) -> Reply:
    """The assistant's answer; where nobody could listen to a voice note, that is said as well, or alone."""
    if not burst.unheard:
        return _ask(burst, ledger, ends=ends)
    with translation.override(burst.question.locale):
        apology = transcription.cannot_listen()
    if not burst.question.texts:
        return Reply(apology)
    reply = _ask(burst, ledger, ends=ends)
    return replace(reply, text=f"{reply.text}\n\n{apology}")


def _ask(burst: _Burst, ledger: Ledger, *, ends: float) -> Reply:
    """The answer of the assistant's model or, whatever keeps that from answering, of its second one.

    Raises what the second one raises where another try may help, else what the first one did.

    Args:
        ends: by `time.monotonic()`; where there is a second model, the first may take half of what is left.
    """
    left, second = ends - time.monotonic(), burst.choice.fallback_model
    timeout = min(left / 2 if second else left, settings.AI_TIMEOUT_SECONDS)
    try:
        return get_assistant(burst.choice.model).reply(burst.question, timeout=timeout, meter=ledger)
    except (AssistantError, AssistantUnavailable) as error:
        if not second:
            raise
        timeout = min(ends - time.monotonic(), settings.AI_TIMEOUT_SECONDS)
        try:
            return get_assistant(second).reply(burst.question, timeout=timeout, meter=ledger)
        except AssistantError:
            raise error from None


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
    with transaction.atomic():
        _give_up(conversation_id, reason=gettext_noop("the assistant could not answer"))


def _give_up(conversation_id: int, *, reason: str) -> None:
    """Nothing happens where nobody waits any more: a person was faster."""
    now = timezone.now()
    conversation = (
        Conversation.objects.select_for_update(of=("self",)).select_related("workspace").get(pk=conversation_id)
    )
    if not Message.objects.filter(conversation=conversation, outcome=Outcome.WAITING).exists():
        return
    handoff.hand_over(conversation, actor="system", reason=reason, now=now)
    with translation.override(conversation.workspace.locale):
        apology = _("Sorry, I cannot answer right now. Someone from our team will write to you here.")
    outbox.send(conversation, apology, author=Author.SYSTEM, now=now)
    after_hours.tell(conversation, now=now)


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
    goes_in_circles: bool  # two machines may be talking to each other
    choice: Choice
    question: Question


def _read(conversation_id: int) -> _Burst | None:
    conversation = Conversation.objects.select_related(
        "workspace", "contact", "channel_account__assistant", "channel_account__workspace", "previous"
    ).get(pk=conversation_id)
    if conversation.state not in ANSWERABLE:
        return None
    unanswered = Message.objects.filter(conversation=conversation, outcome=Outcome.WAITING)
    waiting = list(unanswered.prefetch_related("media").order_by("seq"))
    if not waiting:
        return None
    if transcription.is_under_way(waiting, now=timezone.now()):
        raise Defer(gettext_noop("a voice message is being transcribed"), after=LISTENING)
    heard = [message for message in waiting if not transcription.is_unheard(message)]
    texts = tuple(memory.words(message) for message in heard)
    workspace, now = conversation.workspace, timezone.now()
    choice = choose(conversation.channel_account, now)
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
        goes_in_circles=circles.goes_in_circles(conversation, now),
        choice=choice,
        question=Question(
            workspace_id=workspace.pk,
            workspace_name=workspace.name,
            instructions=choice.instructions,
            locale=workspace.locale,
            contact_name=conversation.contact.name,
            history=memory.history(conversation, before=waiting[-1].seq, limit=choice.memory),
            texts=texts,
            knowledge=knowledge.search(workspace_id=workspace.pk, texts=texts),
            language=choice.language,
            temperature=choice.temperature,
            summary=memory.summary(conversation),
            facts=memory.facts(conversation.contact),
            tools=offered(choice.tools, workspace_id=workspace.pk),
        ),
    )


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
    memory.remember(conversation.contact, reply.facts, now=now)
    if reply.handoff:
        handoff.hand_over(
            conversation, actor="assistant", reason=reply.handoff_reason or gettext_noop("asked for a person"), now=now
        )
        after_hours.tell(conversation, now=now)
    elif reply.closes and not Message.objects.filter(conversation=conversation, outcome=Outcome.WAITING).exists():
        lifecycle.move(
            conversation,
            State.CLOSED_BY_AGENT,
            actor="assistant",
            reason=gettext_noop("everything is settled"),
            now=now,
        )
    memory.summarise_later(conversation, burst.choice)
