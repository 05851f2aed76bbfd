"""A bar chart in the terminal: hourly counts over a long time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.text import Text

BLOCKS = " ▁▂▃▄▅▆▇█"
HEIGHT = 8
_WIDTHS = (1, 2, 3, 6, 12, 24)


def by_hour(hours: Mapping[int, int], full_days: set[int], width: int) -> Text:
    """Draw the busiest hour of each stretch of time.

    Args:
        hours: counts by hour since 1970 UTC; not empty.
        full_days: days to draw in red, counted since 1970 UTC.
        width: columns of the terminal.
    """
    first, last = min(hours), max(hours)
    margin = len(f"{max(hours.values()):,}") + 1
    least = math.ceil((last - first + 1) / max(1, width - margin - 1))
    per = next((hours for hours in _WIDTHS if hours >= least), -(-least // 24) * 24)
    columns = range(first, last + 1, per)
    values = [max(hours.get(hour, 0) for hour in range(begin, begin + per)) for begin in columns]
    colors = [
        "red" if any(hour // 24 in full_days for hour in range(begin, begin + per)) else "green" for begin in columns
    ]
    chart = Text(f"emails an hour{f', the busiest of every {per} hours' if per > 1 else ''}\n", style="dim")
    _draw(chart, values, colors, margin)
    dates = [f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d}" for hour in (first, last)]
    between = max(2, len(values) - sum(map(len, dates)))
    chart.append(" " * margin + dates[0] + " " * between + dates[1], style="dim")
    return chart


def _draw(chart: Text, values: list[int], colors: list[str], margin: int) -> None:
    """Append a bar for each value, from the top row to the bottom one."""
    top = max(values)
    for row in reversed(range(HEIGHT)):
        label = {HEIGHT - 1: f"{top:,}", 0: "0"}.get(row, "")
        chart.append(f"{label:>{margin - 1}}┤", style="dim")
        for value, color in zip(values, colors, strict=True):
            eighths = math.ceil(value / top * HEIGHT * 8) - row * 8
            chart.append(BLOCKS[min(8, max(0, eighths))], style=color)
        chart.append("\n")
