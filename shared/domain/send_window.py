"""Send windows: when they are open, and how a campaign file defines them. Pure: the caller passes the time."""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock(text: Any) -> Any:
    if isinstance(text, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        return dt.time.fromisoformat(text)
    if text == "24:00":
        return None
    raise ValueError(f'{text!r} is not a time of day; write it in quotes, such as "08:30"')


def _days(text: Any) -> Any:
    days: set[int] = set()
    for part in str(text).replace(" ", "").lower().split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{part!r} is not a weekday; write mon-fri, or mon,wed,sat")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return days


def _clock_change(day: dt.date, zone: ZoneInfo) -> int:
    """When the clock changes on a day, in seconds since 1970 UTC; if it does not, the day's end."""
    start, end = (round(dt.datetime.combine(day + dt.timedelta(n), dt.time(), zone).timestamp()) for n in (0, 1))
    seconds = range(start - 1, end)  # it may change at midnight

    def offset(second: int) -> dt.timedelta | None:
        return dt.datetime.fromtimestamp(second, zone).utcoffset()

    return seconds[0] + bisect_left(seconds, True, key=lambda second: offset(second) != offset(seconds[0]))


@dataclass(frozen=True)
class Window:
    """The hours in which a campaign may send, in one time zone.

    Attributes:
        days: weekdays, Monday is 0.
        opens: the first instant of each day that counts.
        closes: the first instant that no longer counts; None means midnight at the end of the day.
    """

    days: frozenset[int]
    opens: dt.time
    closes: dt.time | None

    @property
    def always(self) -> bool:
        """Whether the window never closes."""
        return len(self.days) == 7 and self.opens == dt.time(0) and self.closes is None

    def _contains(self, local: dt.datetime) -> bool:
        clock = local.time()
        return local.weekday() in self.days and clock >= self.opens and (self.closes is None or clock < self.closes)

    def _openings(self, day: dt.date, zone: ZoneInfo) -> list[int]:
        """The instants at which the window may open on a day. If the clock goes back, its time may come twice; if it
        changes, that may open the window, too."""
        opening = dt.datetime.combine(day, self.opens, zone)
        found = {opening.timestamp(), opening.replace(fold=1).timestamp(), _clock_change(day, zone)}
        return sorted(round(second * 1000) for second in found)

    def next_open(self, instant: int, zone: ZoneInfo) -> int:
        """The first instant at or after `instant` that is in the window."""
        local = dt.datetime.fromtimestamp(instant / 1000, zone)
        if self.always or self._contains(local):
            return instant
        for days_ahead in range(16):
            for opening in self._openings(local.date() + dt.timedelta(days_ahead), zone):
                if opening >= instant and self._contains(dt.datetime.fromtimestamp(opening / 1000, zone)):
                    return opening
        raise ValueError("a window needs at least one day")


class SendWindow(BaseModel):
    """The days and hours when the campaign sends, as its file defines them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[frozenset[int], BeforeValidator(_days)] = frozenset(range(7))
    opens: Annotated[dt.time | None, BeforeValidator(_clock)] = Field(default=dt.time(0), alias="from")
    closes: Annotated[dt.time | None, BeforeValidator(_clock)] = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> SendWindow:
        if self.opens is None or (self.closes is not None and self.closes <= self.opens):
            raise ValueError("a window must open (`from`) before it closes (`to`), on the same day")
        return self

    @property
    def window(self) -> Window:
        """The window in the form that timing uses."""
        return Window(self.days, self.opens or dt.time(0), self.closes)
