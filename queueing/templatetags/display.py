"""The display functions for templates: `{% load display %}`."""

from __future__ import annotations

from datetime import datetime

from django import template

from queueing.display import duration, moment

register = template.Library()
register.filter("moment", moment)


@register.filter
def until(start: datetime, end: datetime) -> str:
    """How long it took from `start` to `end`."""
    return duration(end - start)
