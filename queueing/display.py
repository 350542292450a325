"""How values are shown on the screens: short, with the exact value at hand."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.template.loader import render_to_string
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _

NOTHING = "-"


def label(text: str, colour: str) -> str:
    """A coloured label.

    Args:
        colour: success, info, primary, warning, danger, or nothing for grey.
    """
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": colour, "size": "md"})


def moment(value: datetime | None) -> str:
    """The time alone for today, with the date for other days; the whole of it as a tooltip."""
    if value is None:
        return NOTHING
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{}" class="whitespace-nowrap">{}</time>',
        local.isoformat(),
        local.isoformat(" ", "milliseconds"),
        formats.date_format(local, "H:i:s" if local.date() == timezone.localdate() else "j M, H:i"),
    )


def duration(value: timedelta | None) -> str:
    """Such as `12 ms`, `3.4 s`, `2 min 5 s` or `3 h 20 min`."""
    if value is None:
        return NOTHING
    seconds = value.total_seconds()
    if seconds < 1:
        return _("%(n)d ms") % {"n": round(seconds * 1000)}
    if seconds < 60:
        return _("%(n)s s") % {"n": formats.number_format(seconds, 1)}
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    return _("%(hours)d h %(minutes)d min") % {"hours": minutes // 60, "minutes": minutes % 60}
