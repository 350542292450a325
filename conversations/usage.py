"""The account of what models cost: each call has a row before it is made, which says afterwards what it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from queueing.context import JobContext
from queueing.periodic import periodic
from queueing.tasks import task

from . import budget
from .assistants import OverBudget
from .models import Usage, Workspace

EVERY = timedelta(seconds=settings.SCHEDULER_INTERVAL_SECONDS)
ABANDONED = timedelta(minutes=15)  # longer than any task that calls a model may take


def price(model: str, *, input_tokens: int, output_tokens: int) -> Decimal | None:
    """US dollars by the price list that comes with pydantic-ai; None for a model that is not in it.

    Args:
        model: `provider:model`.
    """
    from genai_prices import Usage as Tokens  # loads what only a worker should pay
    from genai_prices import calc_price

    provider, _, name = model.partition(":")
    try:
        return calc_price(
            Tokens(input_tokens=input_tokens, output_tokens=output_tokens), model_ref=name, provider_id=provider
        ).total_price
    except LookupError:
        return None


@dataclass
class Ledger:
    """Keeps the account of one run, from within a call to the outside: each entry is a transaction of its own.

    It gives the connection back every time, so that none is held while the model thinks. What it writes stays when the
    run turns out to be stale: the money is gone all the same.
    """

    workspace_id: int
    conversation_id: int | None
    purpose: str
    rows: list[int] = field(default_factory=list)

    def reserve(self, model: str, *, input_tokens: int, output_tokens: int) -> int:
        """See `assistants.Meter`. A model without a price costs nothing: the list of usage shows that it has none."""
        cost = price(model, input_tokens=input_tokens, output_tokens=output_tokens) or Decimal(0)
        now = timezone.now()
        try:
            with transaction.atomic(durable=True):
                workspace = Workspace.objects.select_for_update().get(pk=self.workspace_id)
                if not budget.allows(workspace, cost, now):
                    raise OverBudget(gettext_noop("the budget of the month is used up"))
                row = Usage.objects.create(
                    workspace=workspace,
                    conversation_id=self.conversation_id,
                    purpose=self.purpose,
                    model=model,
                    cost=cost,
                    at=now,
                )
        finally:
            connection.close()
        self.rows.append(row.pk)
        return row.pk

    def settle(self, reservation: int, *, input_tokens: int, output_tokens: int) -> None:
        """See `assistants.Meter`."""
        try:
            row = Usage.objects.get(pk=reservation)
            cost = price(row.model, input_tokens=input_tokens, output_tokens=output_tokens) or Decimal(0)
            Usage.objects.filter(pk=reservation).update(
                input_tokens=input_tokens, output_tokens=output_tokens, cost=cost, settled=True
            )
        finally:
            connection.close()


@periodic(every=EVERY)
@task(takes_context=True, queue_name="maintenance")
def settle_abandoned(context: JobContext) -> None:
    """Calls of which nobody will ever tell are taken to have cost what was reserved: their worker died, or gave up."""
    with context.complete():
        Usage.objects.filter(settled=False, at__lte=timezone.now() - ABANDONED).update(settled=True)
