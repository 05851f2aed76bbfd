"""When emails are due: the anchor, testing mode, and send windows through changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain import timing
from shared.domain.send_window import Window
from shared.domain.timing import DAY, HOUR, Delay
from tests.conftest import START

TORONTO = ZoneInfo("America/Toronto")
EVERY_DAY = frozenset(range(7))
WEEKDAYS = frozenset(range(5))
OFFICE = Window(WEEKDAYS, time(9), time(17))


def at(text: str, zone: ZoneInfo = TORONTO) -> int:
    """An instant from local time, such as `2026-11-01 08:30`; the first of two that read the same."""
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def local(instant: int, zone: ZoneInfo = TORONTO) -> str:
    """An instant as a clock on the wall shows it, with its distance from UTC."""
    return datetime.fromtimestamp(instant / 1000, zone).isoformat(" ", "minutes")


class TestAnchor:
    """The instant from which delays count."""

    @pytest.mark.parametrize("before", [0, 1, HOUR, 29 * DAY, 30 * DAY])
    def test_a_report_is_the_anchor(self, before: int) -> None:
        """When the website says that it sent the first email, delays count from there, for 30 days."""
        assert timing.anchor(START - before, START) == (START - before, None)

    def test_no_report(self) -> None:
        """Without one, the webhook's time counts."""
        assert timing.anchor(None, START) == (START, None)

    def test_a_clock_that_is_ahead(self) -> None:
        """An hour is forgiven; more, and the webhook's time counts, with a warning."""
        assert timing.anchor(START + HOUR, START) == (START + HOUR, None)
        anchor, warning = timing.anchor(START + HOUR + 1, START)
        assert anchor == START and warning and "more than an hour ahead" in warning

    def test_a_report_from_long_ago(self) -> None:
        """More than 30 days are refused."""
        with pytest.raises(ValueError, match="older than 30 days"):
            timing.anchor(START - 30 * DAY - 1, START)


class TestTesting:
    """Campaigns compressed for testing."""

    def test_step_k_is_due_k_minus_one_steps_after_the_anchor(self) -> None:
        """Regardless of the real delays and numbers, the steps are equally spaced from the anchor on."""
        real = [Delay(1, 0), Delay(2, DAY), Delay(5, 3 * DAY)]
        assert timing.testing(real, 60) == [Delay(1, 0), Delay(2, 60_000), Delay(5, 120_000)]
        assert timing.testing([Delay(3, HOUR)], 0.25) == [Delay(3, 0)]

    def test_steps_before_a_meeting_end_one_step_before_it(self) -> None:
        """Two reminders are due two steps and one step before the meeting."""
        assert timing.testing([Delay(1, -DAY), Delay(2, -HOUR)], 5) == [Delay(1, -10_000), Delay(2, -5_000)]

    @given(st.lists(st.integers(-30, 30), min_size=1, max_size=12), st.floats(0.001, 3600))
    def test_the_order_stays(self, days: list[int], step: float) -> None:
        """Compressed steps are due in the order of the real ones, and on the same side of the anchor."""
        real = [Delay(number, day * DAY) for number, day in enumerate(sorted(days), 1)]
        compressed = timing.testing(real, step)
        dues = [delay.milliseconds for delay in compressed]
        assert dues == sorted(dues)
        assert [delay.number for delay in compressed] == [delay.number for delay in real]
        assert all((short < 0) == (long.milliseconds < 0) for short, long in zip(dues, real, strict=True))


class TestWindow:
    """The hours in which a campaign sends."""

    @pytest.mark.parametrize(
        ("asked", "opens"),
        [
            ("2026-11-02 09:00", "2026-11-02 09:00-05:00"),
            ("2026-11-02 16:59", "2026-11-02 16:59-05:00"),
            ("2026-11-02 08:59", "2026-11-02 09:00-05:00"),
            ("2026-11-02 17:00", "2026-11-03 09:00-05:00"),
            ("2026-11-06 17:00", "2026-11-09 09:00-05:00"),
            ("2026-10-31 12:00", "2026-11-02 09:00-05:00"),  # the clock goes back in between
            ("2026-03-06 18:00", "2026-03-09 09:00-04:00"),  # the clock goes forward in between
        ],
    )
    def test_office_hours(self, asked: str, opens: str) -> None:
        """Within the window at once, else at its next opening in local time, even if the clock changes in between."""
        assert local(OFFICE.next_open(at(asked), TORONTO)) == opens

    def test_an_open_window_changes_nothing(self) -> None:
        """A window that never closes keeps every millisecond."""
        always = Window(EVERY_DAY, time(0), None)
        assert always.always and not OFFICE.always
        assert always.next_open(START + 1, TORONTO) == START + 1

    def test_a_single_day(self) -> None:
        """A window of one weekday is at most a week away."""
        sunday = Window(frozenset({6}), time(0), None)
        assert local(sunday.next_open(at("2026-11-01 23:59"), TORONTO)) == "2026-11-01 23:59-05:00"
        assert local(sunday.next_open(at("2026-11-02 00:00"), TORONTO)) == "2026-11-08 00:00-05:00"
        afternoon = Window(frozenset({6}), time(12), time(17))
        assert local(afternoon.next_open(at("2026-11-01 17:00"), TORONTO)) == "2026-11-08 12:00-05:00"

    def test_a_window_without_a_day(self) -> None:
        """A window without a day is a fault in the program that made it."""
        with pytest.raises(ValueError, match="at least one day"):
            Window(frozenset(), time(9), time(17)).next_open(START, TORONTO)

    def test_an_opening_that_the_clock_skips(self) -> None:
        """On the night on which 02:30 does not exist, a window from 02:30 on opens at 03:00."""
        window = Window(EVERY_DAY, time(2, 30), time(5))
        assert local(window.next_open(at("2026-03-08 01:00"), TORONTO)) == "2026-03-08 03:00-04:00"

    def test_a_window_that_the_clock_skips(self) -> None:
        """A window that does not exist on one night opens on the next."""
        window = Window(EVERY_DAY, time(2), time(2, 45))
        assert local(window.next_open(at("2026-03-08 01:00"), TORONTO)) == "2026-03-09 02:00-04:00"

    def test_an_hour_that_occurs_twice(self) -> None:
        """On the night on which 01:30 comes twice, both are in the window."""
        window = Window(EVERY_DAY, time(1), time(2))
        first = at("2026-11-01 01:30")
        assert [local(window.next_open(first + hours * HOUR, TORONTO)) for hours in (0, 1)] == [
            "2026-11-01 01:30-04:00",
            "2026-11-01 01:30-05:00",
        ]

    @given(
        day=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
        clock=st.times(),
        zone=st.sampled_from(
            ["UTC", "America/Toronto", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"]
        ).map(ZoneInfo),
        days=st.sets(st.integers(0, 6), min_size=1).map(frozenset),
        hours=st.lists(st.integers(0, 96), min_size=2, max_size=2, unique=True).map(sorted),
    )
    @example(date(2026, 3, 8), time(6, 30), TORONTO, EVERY_DAY, [10, 20])
    @example(date(2026, 3, 8), time(6, 30), TORONTO, EVERY_DAY, [9, 11])
    @example(date(2026, 11, 1), time(5, 59), TORONTO, EVERY_DAY, [4, 6])
    def test_it_is_the_next_opening(
        self, day: date, clock: time, zone: ZoneInfo, days: frozenset[int], hours: list[int]
    ) -> None:
        """From any instant, in any zone: within the window, with no earlier opening."""
        opens, closes = (time(quarter // 4, quarter % 4 * 15) if quarter < 96 else None for quarter in hours)
        window = Window(days, opens or time(0), closes)
        instant = round(datetime.combine(day, clock, UTC).timestamp() * 1000)

        def wall(moment: int) -> datetime:
            return datetime.fromtimestamp(moment / 1000, zone)

        def is_open(moment: int) -> bool:
            clock = wall(moment).time()
            return wall(moment).weekday() in days and clock >= window.opens and (closes is None or clock < closes)

        found, quarter = window.next_open(instant, zone), 15 * 60_000
        assert found >= instant and is_open(found)
        assert not [moment for moment in range(instant, found, quarter) if is_open(moment)]


def due(anchor: int, delay: Delay, window: Window | None, zone: ZoneInfo) -> int:
    """When a single step is due."""
    return timing.dues(anchor, [delay], window, zone)[delay.number]


class TestDue:
    """Delay, window and zone together."""

    def test_a_window_never_releases_two_at_once(self) -> None:
        """Emails held back over a weekend go out on Monday, Tuesday and so on; where the steps' own gap is shorter, it
        is kept."""
        friday = at("2026-11-06 12:00")
        days = [Delay(number, number * DAY) for number in range(4)]
        assert [local(instant)[:16] for instant in timing.dues(friday, days, OFFICE, TORONTO).values()] == [
            "2026-11-06 12:00",
            "2026-11-09 09:00",
            "2026-11-10 09:00",
            "2026-11-11 09:00",
        ]
        close = [Delay(1, DAY), Delay(2, DAY + HOUR)]
        monday, later = timing.dues(friday, close, OFFICE, TORONTO).values()
        assert later - monday == HOUR

    def test_without_a_window(self) -> None:
        """A step is due its delay after the anchor, or before it."""
        assert due(START, Delay(1, DAY), None, TORONTO) == START + DAY
        assert due(START, Delay(1, -HOUR), None, TORONTO) == START - HOUR

    def test_days_are_24_hours_and_windows_follow_the_local_clock(self) -> None:
        """24 hours after the last noon of summer time it is 11:00 local time; a window from noon on makes it 12:00."""
        anchor = at("2026-10-31 12:00")
        assert local(due(anchor, Delay(2, DAY), None, TORONTO)) == "2026-11-01 11:00-05:00"
        assert local(due(anchor, Delay(2, DAY), Window(EVERY_DAY, time(12), None), TORONTO)) == "2026-11-01 12:00-05:00"

    def test_a_window_is_in_its_own_zone(self) -> None:
        """The same window opens hours apart in two zones."""
        instant = at("2026-11-02 00:00", ZoneInfo("UTC"))
        berlin = due(instant, Delay(1, 0), OFFICE, ZoneInfo("Europe/Berlin"))
        assert (due(instant, Delay(1, 0), OFFICE, TORONTO) - berlin) == 6 * HOUR

    @given(st.integers(0, 10**13), st.integers(0, 10**10), st.integers(0, 10**10))
    def test_a_shift_makes_a_step_due_now_and_keeps_the_gaps(self, now: int, offset: int, gap: int) -> None:
        """From the shifted anchor the late step is due now, and the next one its gap later."""
        anchor = timing.shifted(Delay(2, offset), now)
        assert due(anchor, Delay(2, offset), None, TORONTO) == now
        assert due(anchor, Delay(3, offset + gap), None, TORONTO) == now + gap


class TestZone:
    """A contact's time zone."""

    @pytest.mark.parametrize(
        "name",
        [None, "", "Nowhere/Town", "/etc/passwd", "../UTC", "America", "a\0b", "zone.tab", "..a/x", "x" * 300, "ü"],
    )
    def test_an_unknown_one_falls_back_to_the_businesss(self, name: str | None) -> None:
        """There is always a zone, regardless of what a browser sends."""
        assert timing.zone(name, "America/Toronto") == TORONTO

    def test_a_known_one_is_used(self) -> None:
        """The visitor's own zone comes first."""
        assert timing.zone("Europe/Berlin", "America/Toronto") == ZoneInfo("Europe/Berlin")

    @given(st.text(st.characters(codec="utf-8")))
    def test_no_name_raises_an_error(self, name: str) -> None:
        """Any text is a zone or falls back to one."""
        assert isinstance(timing.zone(name, "UTC"), ZoneInfo)
