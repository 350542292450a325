"""What an assistant knows of earlier: the last messages, a summary of those before, and facts about the contact."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from queueing.backoff import Backoff
from queueing.context import JobContext
from queueing.errors import Retry
from queueing.tasks import task

from . import transcription
from .assistants import AssistantError, AssistantUnavailable, OverBudget, Turn, get_assistant
from .assistants.choice import Choice, choose
from .lifecycle import CLOSED
from .models import Contact, Conversation, DeliveryStatus, Fact, Message, Outcome
from .usage import Ledger

BATCH = 100  # messages that one run of the job reads
BACKLOG = 10  # messages out of the assistant's sight that are worth a summary
FACTS = 50  # about one contact that the assistant is shown


def words(message: Message) -> str:
    """What an assistant that reads only text is shown of a message."""
    if spoken := transcription.spoken(message):
        return f"{message.text}\n{spoken}".strip()
    return message.text if message.kind == "text" else f"[{message.kind}] {message.text}".strip()


def history(conversation: Conversation, *, before: int, limit: int) -> tuple[Turn, ...]:
    """The last `limit` messages that were said before number `before` and wait for nothing, oldest first."""
    said = _said(conversation).filter(seq__lt=before).exclude(outcome=Outcome.WAITING)
    return tuple(Turn(message.author, words(message)) for message in reversed(said.order_by("-seq")[:limit]))


def summary(conversation: Conversation) -> str:
    """Of what was said before the history, and in the conversation before this one."""
    earlier = conversation.previous.summary if conversation.previous else ""
    return "\n\n".join(filter(None, (earlier, conversation.summary)))


def facts(contact: Contact) -> tuple[tuple[str, str], ...]:
    return tuple(contact.facts.order_by("-updated_at").values_list("name", "value")[:FACTS])


def remember(contact: Contact, noted: Iterable[tuple[str, str]], *, now: datetime) -> None:
    """Keep facts about a contact; a newer value of the same name takes the place of the old one."""
    for name, value in noted:
        Fact.objects.update_or_create(contact=contact, name=name, defaults={"value": value, "updated_at": now})


def summarise_later(conversation: Conversation, choice: Choice) -> None:
    """Enqueue what must be remembered in short: what the assistant has lost sight of, and the conversation before."""
    if conversation.next_seq - 1 - choice.memory - conversation.summarised_seq >= BACKLOG:
        _enqueue(conversation)
    before = conversation.previous
    if before and before.state in CLOSED and before.summarised_seq < before.next_seq - 1:
        _enqueue(before)


def _enqueue(conversation: Conversation) -> None:
    summarise_conversation.using(
        unique_key=f"summary:{conversation.pk}",
        ordering_key=f"summary:{conversation.pk}",
        fairness_key=f"workspace:{conversation.workspace_id}",
        subject=f"conversation:{conversation.pk}",
        priority=-10,
    ).enqueue(conversation_id=conversation.pk)


@task(
    takes_context=True,
    timeout=timedelta(seconds=90),
    max_attempts=5,
    max_age=timedelta(hours=1),
    backoff=Backoff(base=timedelta(seconds=5), maximum=timedelta(minutes=5)),
    permanent=(AssistantError,),
)
def summarise_conversation(context: JobContext, conversation_id: int) -> None:
    """Add to the summary what the assistant is not shown any more; all of it, once the conversation is closed."""
    conversation = Conversation.objects.select_related(
        "workspace", "channel_account__assistant", "channel_account__workspace"
    ).get(pk=conversation_id)
    choice = choose(conversation.channel_account, timezone.now())
    until = conversation.next_seq - 1 - (0 if conversation.state in CLOSED else choice.memory)
    begun = conversation.summarised_seq
    batch = list(_said(conversation).filter(seq__gt=begun, seq__lte=until).order_by("seq")[:BATCH])
    if not batch:
        return
    turns = tuple(Turn(message.author, words(message)) for message in batch)
    try:
        with context.outside() as seconds:
            text = get_assistant(choice.model).summarise(
                conversation.summary,
                turns,
                locale=conversation.workspace.locale,
                timeout=min(seconds, settings.AI_TIMEOUT_SECONDS),
                meter=Ledger(conversation.workspace_id, conversation_id, "summary"),
            )
    except AssistantUnavailable as error:
        raise Retry(str(error), after=error.after) from error
    except OverBudget:
        return  # answers come first; the next one enqueues this anew
    with context.complete():
        row = Conversation.objects.filter(pk=conversation_id, summarised_seq=begun)
        if row.update(summary=text, summarised_seq=batch[-1].seq) and len(batch) == BATCH:
            _enqueue(conversation)


def _said(conversation: Conversation) -> QuerySet[Message]:
    """What both sides have seen: no drafts."""
    messages = Message.objects.filter(conversation=conversation).prefetch_related("media")
    return messages.exclude(delivery_status=DeliveryStatus.DRAFT)
