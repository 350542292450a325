"""When a periodic task is due: the points of a grid that is the same for every scheduler, whenever it was started."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
RANDOM = re.compile(r"(?:^|[\s,])r", re.IGNORECASE)  # croniter's own: another point for every scheduler


class Cadence(Protocol):
    """A grid of moments. Its `str()` says it to people."""

    def latest(self, moment: datetime) -> datetime:
        """The last point that is not after `moment`."""

    def next(self, moment: datetime) -> datetime:
        """The first point after `moment`."""


@dataclass(frozen=True, slots=True)
class Every:
    """The multiples of `interval` since 1970, UTC. Raises ValueError when it is not longer than zero."""

    interval: timedelta

    def __post_init__(self) -> None:
        if self.interval <= timedelta(0):
            raise ValueError(f"an interval must be longer than zero, not {self.interval}")

    def latest(self, moment: datetime) -> datetime:
        return EPOCH + (moment - EPOCH) // self.interval * self.interval

    def next(self, moment: datetime) -> datetime:
        return self.latest(moment) + self.interval

    def __str__(self) -> str:
        return gettext("every %(interval)s") % {"interval": self.interval}


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron line by the wall clocks of `time_zone`. Raises ValueError for a line or a zone that does not exist.

    Where clocks are put forward, a time that they skip is reached as long after midnight as on any other day: 02:30
    at what is then 03:30. Where they are put back, a time that they show twice counts once, the first time; only a
    line for every hour (`*` or `*/n`) goes by the hours that pass, and has points in both.
    """

    expression: str
    time_zone: str

    def __post_init__(self) -> None:
        if len(self.expression.split()) != 5 or RANDOM.search(self.expression):
            raise ValueError(f"{self.expression!r} is not a cron line: minute hour day month weekday")
        croniter.expand(self.expression, strict=True)
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{self.time_zone!r} is not a time zone") from error

    def latest(self, moment: datetime) -> datetime:
        low, high = self._wall_clocks(moment)
        line = croniter(self.expression, high.replace(second=0, microsecond=0) + MINUTE)
        points: list[datetime] = []
        wall = high
        while not points or wall > low:
            wall = line.get_prev(datetime)
            points += [point for point in self._points(wall) if point <= moment]
        return max(points)

    def next(self, moment: datetime) -> datetime:
        low, high = self._wall_clocks(moment)
        line = croniter(self.expression, low - MINUTE)
        points: list[datetime] = []
        wall = low
        while not points or wall <= high:
            wall = line.get_next(datetime)
            points += [point for point in self._points(wall) if point > moment]
        return min(points)

    def _wall_clocks(self, moment: datetime) -> tuple[datetime, datetime]:
        """What the clocks may show at `moment`, at the least and at the most: they may have been changed nearby."""
        zone, now = ZoneInfo(self.time_zone), moment.astimezone(UTC)
        offsets = [near.astimezone(zone).utcoffset() or timedelta(0) for near in (now - DAY, now, now + DAY)]
        return (now + min(offsets)).replace(tzinfo=None), (now + max(offsets)).replace(tzinfo=None)

    def _points(self, wall: datetime) -> Iterator[datetime]:
        """The moments at which the clocks show `wall`, or would."""
        first, second = (wall.replace(tzinfo=ZoneInfo(self.time_zone), fold=fold) for fold in (0, 1))
        yield first.astimezone(UTC)
        if self.expression.split()[1].startswith("*") and second.astimezone(UTC) > first.astimezone(UTC):
            yield second.astimezone(UTC)

    def __str__(self) -> str:
        return f"{self.expression} ({self.time_zone})"


def validate_cron(expression: str) -> None:
    """Raises ValidationError, for people."""
    try:
        Cron(expression, "UTC")
    except ValueError as error:
        raise ValidationError(_("This is not a cron line: %(error)s"), params={"error": error}) from error


def validate_time_zone(name: str) -> None:
    """Raises ValidationError, for people."""
    try:
        Cron("* * * * *", name)
    except ValueError as error:
        raise ValidationError(_("There is no such time zone.")) from error
