"""The plan of an enrollment: when each of its emails is due, before anything is written down."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any

from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Campaign


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
) -> dict[str, Any]:
    """The part of an enroll order that describes the new enrollment and its steps.

    Args:
        campaign: which.
        anchor: the instant from which delays count, in milliseconds since 1970 UTC.
        zone_name: the contact's time zone, where it is known.
        settings: the business's time zone, and the testing mode.
        now: the time, in milliseconds since 1970 UTC.
        warning: what the owner should know of the anchor.
        values: what its emails may say of the occasion.
        by_website: the steps that the website has sent.
    """
    delays = [step.delay for step in campaign.steps]
    if settings.testing_mode:
        width = settings.testing_step or campaign.testing_step
        delays = timing.testing(delays, width)
        if campaign.steps[0].before is not None and anchor > now:  # the meeting, too, is a few steps away
            anchor = now + round((len(delays) + 1) * width * 1000)
    window = campaign.window.window if campaign.window else None
    dues = timing.dues(anchor, delays, window, timing.zone(zone_name, settings.business_timezone))

    def step(delay: timing.Delay) -> dict[str, Any]:
        due = dues[delay.number]
        fate: dict[str, Any] = {}
        if delay.number in by_website:
            fate["sent"] = anchor
        elif delay.milliseconds < 0 and due <= now:
            fate["skipped"] = "its time was past when the meeting was booked"
        return {"number": delay.number, "offset": delay.milliseconds, "due": due, **fate}

    return {
        "group": campaign.group,
        "reentry": campaign.reentry,
        "anchor": anchor,
        "warning": warning,
        "values": json.dumps(values) if values else None,
        "steps": [step(delay) for delay in delays],
    }
