"""When the emails of a resumed enrollment go out: later by the length of the pause, or at their dates, with missed
emails one a day."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Contact, Enrollment, Step
from shared.domain.send_window import Window
from shared.domain.states import StepState
from shared.ledger.client import Ledger
from shared.ledger.orders import Resume


def resume_order(
    run: Enrollment, paused_at: int, *, catch_up: bool, ledger: Ledger, catalog: Catalog, settings: Settings
) -> Resume:
    """How a paused enrollment continues.

    Args:
        run: the enrollment.
        paused_at: when its pause began, in milliseconds since 1970 UTC.
        catch_up: keep the original dates, and send missed emails one a day.
        ledger: has the clock and the contact.
        catalog: has the campaign's window.
        settings: name the time zone of contacts without one, and shorten a day for tests.
    """
    now = ledger.now()
    campaign, contact = catalog.campaigns.get(run.slug), ledger.contact(run.contact) or Contact()
    window = campaign.window.window if campaign and campaign.window else None
    zone = timing.zone(contact.fields.get("timezone"), settings.business_timezone)
    waiting = [step for step in run.steps if step.state == StepState.SCHEDULED and step.offset >= 0]
    moving = [] if catch_up else waiting
    anchor = run.anchor + (max(0, now - paused_at) if moving else 0)  # Redis's clock may have been set back
    dues = timing.dues(anchor, [timing.Delay(step.number, step.offset) for step in moving], window, zone)
    day = _day(campaign, settings)
    nexts: dict[int, int] = {}
    if catch_up:
        last = int(contact.fields.get("last_sent", 0))
        nexts = _one_a_day(waiting, max(now, last + day), day, window, zone)
    return Resume(
        enrollment=run.id,
        paused_at=paused_at,
        anchor=anchor,
        dues=dues,
        nexts=nexts,
        catch_up=day if nexts else None,  # reminders do not catch up: a late one is still skipped
    )


def _day(campaign: Campaign | None, settings: Settings) -> int:
    """What counts as a day, in milliseconds: TESTING_MODE shortens it to the step between two emails."""
    testing = settings.testing_step or (campaign.testing_step if campaign else 60)
    return round(testing * 1000) if settings.testing_mode else timing.DAY


def _one_a_day(waiting: list[Step], earliest: int, day: int, window: Window | None, zone: ZoneInfo) -> dict[int, int]:
    """The earliest time for each waiting step, so that missed emails come one a day from `earliest` on."""
    nexts: dict[int, int] = {}
    for step in waiting:
        earliest = max(step.due, earliest)
        if window:
            earliest = window.next_open(earliest, zone)
        nexts[step.number] = earliest
        earliest = timing.days_later(earliest, day, zone)
    return nexts
