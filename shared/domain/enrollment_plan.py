"""The plan of an enrollment: when each of its emails is due, before anything is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Campaign
from shared.domain.states import Reentry


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """A step of a new enrollment. Instants are milliseconds since 1970 UTC.

    Attributes:
        number: its place in the campaign.
        offset: milliseconds from the anchor.
        due: when it goes out.
        sent: when the website sent it, if it already did.
        skipped: why it is skipped, if it is.
    """

    number: int
    offset: int
    due: int
    sent: int | None = None
    skipped: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A new enrollment (enroll.lua takes it as it is).

    Attributes:
        group: only one campaign of a group runs at a time.
        reentry: whether the contact may be enrolled again.
        anchor: the instant that delays count from, in milliseconds since 1970 UTC.
        warning: what the owner should know about the anchor.
        values: what its emails may say about the occasion, and the form's scores, as JSON.
        steps: its emails.
        retakes: whether `values` replace those of an enrollment that is still open.
        queue_for: how many milliseconds it waits if another campaign of the group is under way; None: not at all.
    """

    group: str | None
    reentry: Reentry
    anchor: int
    warning: str | None
    values: str | None
    steps: Sequence[PlannedStep]
    retakes: bool = False
    queue_for: int | None = None


def plan_enrollment(
    campaign: Campaign,
    anchor: int,
    zone_name: str | None,
    *,
    settings: Settings,
    now: int,
    warning: str | None = None,
    values: Mapping[str, str] | None = None,
    by_website: Set[int] = frozenset(),
) -> Plan:
    """Lay out a new enrollment and its steps.

    Args:
        campaign: the campaign.
        anchor: the instant that delays count from, in milliseconds since 1970 UTC.
        zone_name: the contact's time zone, if known.
        settings: the business's time zone, and the testing mode.
        now: the time, in milliseconds since 1970 UTC.
        warning: what the owner should know about the anchor.
        values: what its emails may say about the occasion.
        by_website: the steps that the website has sent.
    """
    delays = [step.delay for step in campaign.steps]
    if settings.testing_mode:
        width = settings.testing_step or campaign.testing_step
        delays = timing.testing(delays, width)
        if campaign.steps[0].before is not None and anchor > now:  # the meeting moves to a few steps away, too
            anchor = now + round((len(delays) + 1) * width * 1000)
    window = campaign.window.window if campaign.window else None
    dues = timing.dues(anchor, delays, window, timing.zone(zone_name, settings.business_timezone))

    def step(delay: timing.Delay) -> PlannedStep:
        due = dues[delay.number]
        by_us = delay.number not in by_website
        past = (
            "its time had passed when the meeting was booked"
            if by_us and delay.milliseconds < 0 and due <= now
            else None
        )
        return PlannedStep(
            number=delay.number, offset=delay.milliseconds, due=due, sent=None if by_us else anchor, skipped=past
        )

    return Plan(
        group=campaign.group,
        reentry=campaign.reentry,
        anchor=anchor,
        warning=warning,
        values=json.dumps(values) if values else None,
        steps=[step(delay) for delay in delays],
        queue_for=round(campaign.queue_for * 1000) if campaign.queue_for and len(by_website) < len(delays) else None,
    )
