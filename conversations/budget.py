"""What a workspace's models may cost in a month, and what they have cost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Sum

from .models import Usage, Workspace


def spent(workspace: Workspace, now: datetime) -> Decimal:
    """US dollars since the month began by the workspace's clock, with everything that is reserved."""
    month = now.astimezone(ZoneInfo(workspace.time_zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    total = Usage.objects.filter(workspace=workspace, at__gte=month).aggregate(total=Sum("cost"))["total"]
    return total or Decimal(0)


def allows(workspace: Workspace, cost: Decimal, now: datetime) -> bool:
    """Whether so many US dollars more stay within the month's budget.

    Ask it in a transaction that has locked the workspace's row and will store the cost: two calls that each would fit
    alone do not both get the last of it.
    """
    return workspace.budget is None or spent(workspace, now) + cost <= workspace.budget
