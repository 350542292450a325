"""Accounts for every message: what has come in has ended somehow or is being worked on, and so has what goes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from queueing.models import Job

from .models import DeliveryStatus, Direction, Message, Outcome

BATCH = 2000  # messages that one look takes
FINAL = (Outcome.HUMAN, Outcome.SUPPRESSED, Outcome.DEAD)
ON_ITS_WAY = (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.UNKNOWN)


@dataclass(slots=True)
class Audit:
    """What was found so far."""

    seen: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unaccounted: list[tuple[int, str]] = field(default_factory=list)  # message ids, each with what is wrong

    def run(self, workspace: str = "") -> Iterator[None]:
        """Look at all messages, the oldest first, and pause after each batch.

        A message that is stored while this runs may or may not be looked at. One whose job ends just between the two
        looks at it is looked at again before it is reported.

        Args:
            workspace: the slug of the only one to look at; empty: all.
        """
        messages = Message.objects.order_by("pk")
        if workspace:
            messages = messages.filter(conversation__workspace__slug=workspace)
        last = 0
        while batch := list(messages.filter(pk__gt=last).select_related("answer")[:BATCH]):
            suspicious = self._suspicious(batch)
            again = Message.objects.filter(pk__in=[message.pk for message in suspicious]).select_related("answer")
            for message in self._suspicious(list(again)):
                self.unaccounted.append((message.pk, _wrong(message) or _("it waits, and no job will take it up")))
            self.seen += len(batch)
            self.outcomes.update(m.outcome for m in batch if m.direction == Direction.INBOUND)
            last = batch[-1].pk
            yield

    def _suspicious(self, messages: list[Message]) -> list[Message]:
        lanes = {lane for message in messages if (lane := _lane(message))}
        busy = set(Job.objects.unfinished_of(lanes).values_list("ordering_key", flat=True)) if lanes else set()
        return [message for message in messages if _wrong(message) or (_lane(message) or "") not in {"", *busy}]


def _lane(message: Message) -> str | None:
    """The ordering key under which a job must be waiting or running for it."""
    if message.direction == Direction.INBOUND and message.outcome == Outcome.WAITING:
        return f"answer:{message.conversation_id}"
    if message.direction == Direction.OUTBOUND and message.delivery_status in ON_ITS_WAY:
        return f"send:{message.conversation_id}"
    return None


def _wrong(message: Message) -> str:
    if message.direction == Direction.OUTBOUND or message.outcome == Outcome.WAITING:
        return ""
    if message.outcome in (Outcome.ANSWERED, Outcome.MERGED):
        if message.answer is None:
            return _("it counts as answered, and no answer hangs on it")
        drafted = message.answer.delivery_status == DeliveryStatus.DRAFT
        return _("it counts as answered, and its answer is a draft") if drafted else ""
    if message.outcome in FINAL:
        return "" if message.outcome_reason else _("it has ended without a reason")
    return _("nothing says what became of it")
