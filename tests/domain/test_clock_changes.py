"""Send windows on the nights when the clock changes, against a slow oracle that looks at each minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain import timing
from shared.domain.send_window import Window
from shared.domain.timing import DAY, Delay

MINUTE = 60_000
EVERY_DAY = frozenset(range(7))
# The last day before the clock changes: at 2:00, at midnight, by half an hour, over midnight.
NIGHTS = [
    (zone, day)
    for zone, days in {
        "America/Toronto": ("2026-03-07", "2026-10-31"),
        "Europe/Berlin": ("2026-03-28", "2026-10-24"),
        "America/Santiago": ("2026-04-04", "2026-09-05"),
        "Asia/Beirut": ("2026-03-28", "2026-10-24"),
        "Africa/Cairo": ("2026-04-23", "2026-10-29"),
        "America/Havana": ("2026-03-07", "2026-10-31"),
        "Australia/Lord_Howe": ("2026-04-04", "2026-10-03"),
        "America/Nuuk": ("2026-03-28", "2026-10-24"),
        "Atlantic/Azores": ("2026-03-28", "2026-10-24"),
        "UTC": ("2026-03-28",),
    }.items()
    for day in days
]
nights = st.sampled_from(NIGHTS).map(lambda night: (ZoneInfo(night[0]), date.fromisoformat(night[1])))
minutes_of_a_day = st.one_of(st.integers(0, 180), st.integers(1380, 1440), st.integers(0, 1440))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Any window; often of an hour or less, around the hours when clocks change."""
    first, last = sorted(draw(st.lists(minutes_of_a_day, min_size=2, max_size=2, unique=True)))
    if draw(st.booleans()):
        last = min(first + draw(st.integers(1, 60)), 1440)
    days = draw(st.one_of(st.just(EVERY_DAY), st.sets(st.integers(0, 6), min_size=1).map(frozenset)))
    return Window(days, time(*divmod(first, 60)), time(*divmod(last, 60)) if last < 1440 else None)


def wall(instant: int, zone: ZoneInfo) -> datetime:
    """What a clock on the wall shows."""
    return datetime.fromtimestamp(instant / 1000, zone)


def is_open(instant: int, window: Window, zone: ZoneInfo) -> bool:
    """Whether the clock on the wall is within the window."""
    shown = wall(instant, zone)
    minute = shown.hour * 60 + shown.minute
    first = window.opens.hour * 60 + window.opens.minute
    last = window.closes.hour * 60 + window.closes.minute if window.closes else 1440
    return shown.weekday() in window.days and first <= minute < last


@given(night=nights, minute=st.integers(0, 3000), window=windows())
@example((ZoneInfo("America/Toronto"), date(2026, 3, 7)), 1440, Window(EVERY_DAY, time(2, 15), time(3, 10)))
@example((ZoneInfo("America/Toronto"), date(2026, 10, 31)), 1570, Window(EVERY_DAY, time(1, 30), time(2)))
@example((ZoneInfo("America/Toronto"), date(2026, 10, 31)), 1555, Window(EVERY_DAY, time(0, 30), time(1, 45)))
@example((ZoneInfo("America/Santiago"), date(2026, 9, 5)), 1380, Window(EVERY_DAY, time(0, 30), time(1, 30)))
@example((ZoneInfo("America/Santiago"), date(2026, 4, 4)), 1435, Window(frozenset({5}), time(23, 30), None))
def test_it_opens_at_the_first_minute_that_counts(night: tuple[ZoneInfo, date], minute: int, window: Window) -> None:
    """On both nights: never outside of the window, and no minute of it is passed over."""
    zone, day = night
    instant = round(datetime.combine(day, time(), zone).timestamp()) * 1000 + minute * MINUTE
    found = window.next_open(instant, zone)
    assert found >= instant and is_open(found, window, zone)
    assert not [moment for moment in range(instant, found, MINUTE) if is_open(moment, window, zone)]


def is_ever_open(day: date, window: Window, zone: ZoneInfo) -> bool:
    """Whether any minute of a local day is within the window."""
    noon = round(datetime.combine(day, time(12), UTC).timestamp() * 1000)
    around = range(noon - 2 * DAY, noon + 2 * DAY, MINUTE)
    return any(wall(moment, zone).date() == day and is_open(moment, window, zone) for moment in around)


@given(night=nights, before=st.integers(0, 3), minute=minutes_of_a_day, window=windows())
@example((ZoneInfo("America/Toronto"), date(2026, 3, 7)), 0, 570, Window(EVERY_DAY, time(9), time(10)))
@example((ZoneInfo("America/Toronto"), date(2026, 10, 31)), 0, 570, Window(EVERY_DAY, time(9), time(10)))
@example((ZoneInfo("America/Toronto"), date(2026, 3, 7)), 0, 150, Window(EVERY_DAY, time(2, 15), time(3, 10)))
@example((ZoneInfo("Asia/Beirut"), date(2026, 3, 28)), 0, 30, Window(EVERY_DAY, time(0), time(1, 15)))
@example((ZoneInfo("America/Santiago"), date(2026, 9, 5)), 0, 0, Window(EVERY_DAY, time(0), time(23, 1)))
@example((ZoneInfo("America/Toronto"), date(2026, 3, 7)), 0, 120, Window(EVERY_DAY, time(1, 1), time(2, 1)))
@example((ZoneInfo("America/Nuuk"), date(2026, 3, 27)), 0, 1410, Window(EVERY_DAY, time(22), time(23, 45)))
def test_daily_emails_skip_no_day(night: tuple[ZoneInfo, date], before: int, minute: int, window: Window) -> None:
    """With an email each day, all are within the window, and between two there is no day on which it opens."""
    zone, day = night
    start = round(datetime.combine(day - timedelta(before), time(), zone).timestamp()) * 1000 + minute * MINUTE
    delays = [Delay(number, number * DAY) for number in range(5)]
    dues = list(timing.dues(window.next_open(start, zone), delays, window, zone).values())
    assert all(is_open(due, window, zone) for due in dues)
    dates = [wall(due, zone).date() for due in dues]
    for one, other in pairwise(dates):
        between = [one + timedelta(days) for days in range(1, (other - one).days)]
        assert not [day for day in between if is_ever_open(day, window, zone)]


@pytest.mark.parametrize(("zone", "day"), NIGHTS)
def test_a_weekly_email_keeps_its_week(zone: str, day: str) -> None:
    """An hour on one weekday is not missed because a week has an hour less."""
    last = date.fromisoformat(day)
    window, own = Window(frozenset({last.weekday()}), time(9), time(10)), ZoneInfo(zone)
    anchor = round(datetime.combine(last, time(9, 30), own).timestamp() * 1000)
    dues = timing.dues(anchor, [Delay(1, 0), Delay(2, 7 * DAY), Delay(3, 14 * DAY)], window, own)
    assert [wall(due, own).date() for due in dues.values()] == [last + timedelta(7 * week) for week in range(3)]
