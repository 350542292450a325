"""When people are there, by the workspace's own clock."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

from .models import BusinessHours, Workspace

MIDNIGHT = time(0)


def is_open(workspace: Workspace, now: datetime) -> bool:
    """Whether people are there. Without any hours they always are.

    The hours are wall-clock times: they follow the daylight saving time of the workspace's zone.

    Args:
        now: with a time zone.
    """
    spans = list(workspace.hours.all())
    local = now.astimezone(ZoneInfo(workspace.time_zone))
    return not spans or any(_holds(span, local) for span in spans)


def _holds(span: BusinessHours, local: datetime) -> bool:
    clock = local.time()
    return (
        span.weekday == local.weekday()
        and span.opens <= clock
        and (clock < span.closes or span.closes == MIDNIGHT)  # the midnight that ends the day
    )
