"""What `evergreen simulate` prints: a chart, and the figures with and without a daily quota."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from rich.table import Table

from commands import chart
from commands.arguments import local
from commands.printing import console
from shared.preview.simulation_types import Conditions, Outcome


def print_outcome(outcome: Outcome, upgraded: Outcome, conditions: Conditions, took: float) -> None:
    """Print the outcome of a simulation.

    Args:
        outcome: as it is.
        upgraded: the same without a daily quota.
        conditions: what was simulated.
        took: seconds that it took.
    """
    if outcome.hours:
        console.print(chart.by_hour(outcome.hours, outcome.full_days, console.width))
    _print_limits(outcome, conditions)
    console.print(_comparison([outcome, upgraded] if outcome.full_days else [outcome]))
    people = ", ".join(f"{name} {count:,}" for name, count in sorted(outcome.segments.items()))
    console.print(f"People: {people}. Simulated in {took:.1f} s.")
    if outcome.full_days:
        console.print(
            f"[bold]A plan without a daily quota[/] delays nothing; it must allow {upgraded.busiest_month:,} emails in "
            f"30 days. This quota delays email on {len(outcome.full_days):,} days.",
            soft_wrap=True,
        )


def _print_limits(outcome: Outcome, conditions: Conditions) -> None:
    quota = f"{conditions.daily_quota:,} emails a day" if conditions.daily_quota else "unlimited emails a day"
    busiest = max(outcome.requests.values(), default=0)
    console.print(
        f"\nResend accepts {conditions.rate:g} requests a second, which is {conditions.rate * 3600:,.0f} an hour (the "
        f"busiest hour has {busiest:,}), and {quota}"
        + (" ([red]red[/]: days on which the quota delayed email)." if outcome.full_days else "."),
        soft_wrap=True,
    )


def _comparison(columns: list[Outcome]) -> Table:
    table = Table("", *("With this quota", "Without a daily quota")[: len(columns)], box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, text in _FIGURES.items():
        table.add_row(name, *(text(each) for each in columns))
    return table


def _lasting(milliseconds: int) -> str:
    """A duration, in a suitable unit."""
    for unit, width in (("days", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if milliseconds >= 2 * width:
            return f"{milliseconds / width:,.1f} {unit}"
    return f"{milliseconds / 1000:,.1f} s"


_FIGURES: dict[str, Callable[[Outcome], str]] = {
    "emails sent": lambda each: f"{each.sent:,}",
    "last email": lambda each: local(each.ended, ZoneInfo("UTC")),
    "more than a minute late": lambda each: f"{each.late:,}",
    "longest delay after the due time": lambda each: _lasting(each.latest),
    "longest delay after the date set at sign-up": lambda each: _lasting(each.furthest),
    "enrollments moved by the late policy": lambda each: f"{each.shifted:,} times",
    "skipped by the late policy": lambda each: f"{each.skipped:,}",
    "not sent by the end": lambda each: f"{each.unsent:,}",
    "days with the quota exhausted": lambda each: f"{len(each.full_days):,}",
    "emails in the busiest 30 days": lambda each: f"{each.busiest_month:,}",
}
