"""The grids of intervals and cron lines: the same from wherever one looks, also where clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from queueing.cadence import Cadence, Cron, Every

BERLIN, SAO_PAULO, LORD_HOWE = "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"


def points(cadence: Cadence, start: datetime, end: datetime) -> list[datetime]:
    """Those after `start`, until `end`."""
    found = []
    point = cadence.next(start)
    while point <= end:
        found.append(point)
        point = cadence.next(point)
    return found


def shown(cadence: Cron, day: str, days: int = 1) -> list[str]:
    """What the clocks show at the points of that day."""
    zone = ZoneInfo(cadence.time_zone)
    start = datetime.fromisoformat(day).replace(tzinfo=zone)
    found = points(cadence, start - timedelta(microseconds=1), start + timedelta(days=days, microseconds=-1))
    return [point.astimezone(zone).strftime("%H:%M%z") for point in found]


def test_an_interval_has_the_multiples_since_1970() -> None:
    every = Every(timedelta(minutes=15))
    assert every.latest(datetime(2026, 5, 4, 12, 44, 59, tzinfo=UTC)) == datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
    assert every.latest(datetime(2026, 5, 4, 12, 45, tzinfo=UTC)) == datetime(2026, 5, 4, 12, 45, tzinfo=UTC)
    assert every.next(datetime(2026, 5, 4, 12, 45, tzinfo=UTC)) == datetime(2026, 5, 4, 13, 0, tzinfo=UTC)


def test_a_cron_line_goes_by_the_wall_clocks_of_its_zone() -> None:
    assert shown(Cron("30 2 * * *", SAO_PAULO), "2026-01-15") == ["02:30-0300"]
    assert shown(Cron("0 9,17 * * mon-fri", BERLIN), "2026-01-16", days=3) == ["09:00+0100", "17:00+0100"]


@pytest.mark.parametrize(
    ("zone", "line", "day", "expected"),
    [
        # The clocks skip 02:00 to 03:00 there, and 00:00 to 01:00 in São Paulo.
        (BERLIN, "30 2 * * *", "2024-03-31", ["03:30+0200"]),
        (BERLIN, "0 2,3 * * *", "2024-03-31", ["03:00+0200"]),
        (BERLIN, "30 * * * *", "2024-03-31", [f"{h:02}:30+0{1 if h < 2 else 2}00" for h in range(24) if h != 2]),
        (SAO_PAULO, "30 0 * * *", "2018-11-04", ["01:30-0200"]),
        (LORD_HOWE, "15 2 * * *", "2024-10-06", ["02:45+1100"]),
        # They show 02:00 to 03:00 twice there, and 23:00 to 24:00 in São Paulo.
        (BERLIN, "30 2 * * *", "2024-10-27", ["02:30+0200"]),
        (BERLIN, "*/30 2 * * *", "2024-10-27", ["02:00+0200", "02:30+0200"]),
        (SAO_PAULO, "30 23 * * *", "2018-02-17", ["23:30-0200"]),
        (LORD_HOWE, "45 1 * * *", "2024-04-07", ["01:45+1100"]),
    ],
)
def test_a_time_that_is_skipped_or_shown_twice_has_one_point(
    zone: str, line: str, day: str, expected: list[str]
) -> None:
    assert shown(Cron(line, zone), day) == expected


def test_a_line_for_every_hour_goes_on_while_clocks_are_put_back() -> None:
    night = shown(Cron("*/20 * * * *", BERLIN), "2024-10-27")
    assert night[3:15] == [
        *("01:00+0200", "01:20+0200", "01:40+0200"),
        *("02:00+0200", "02:20+0200", "02:40+0200"),
        *("02:00+0100", "02:20+0100", "02:40+0100"),
        *("03:00+0100", "03:20+0100", "03:40+0100"),
    ]


@pytest.mark.parametrize("line", ["30 2 * * *", "*/20 * * * *", "15,45 1-3 * * *", "30 */2 * * *", "0 0 * * *"])
@pytest.mark.parametrize(
    ("zone", "day"),
    [(BERLIN, "2024-03-31"), (BERLIN, "2024-10-27"), (SAO_PAULO, "2018-11-04"), (SAO_PAULO, "2018-02-17"),
     (LORD_HOWE, "2024-04-07"), (LORD_HOWE, "2024-10-06")],
)  # fmt: skip
def test_the_grid_is_the_same_from_wherever_one_looks(zone: str, day: str, line: str) -> None:
    cron = Cron(line, zone)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
    grid = points(cron, start, start + timedelta(days=3))
    assert len(grid) >= 3
    for before, after in pairwise(grid):
        for moment in (
            before,
            before + timedelta(seconds=1),
            before + (after - before) / 2,
            after - timedelta(seconds=1),
        ):
            assert (cron.latest(moment), cron.next(moment)) == (before, after)


@pytest.mark.parametrize(
    "line", ["", "* * * *", "@daily", "61 * * * *", "0 0 30 2 *", "R * * * *", "0,r 3 * * *", "* * * * * *"]
)
def test_what_is_not_a_cron_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Cron(line, "UTC")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "Europe"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        Cron("* * * * *", zone)


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than zero"):
        Every(timedelta(0))
