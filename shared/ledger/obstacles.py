"""What keeps a contact from being enrolled, read without a change: what enroll.lua would answer now."""

from __future__ import annotations

from typing import Literal, cast

from shared.domain.catalog import Campaign
from shared.ledger import ids
from shared.ledger.client import Ledger

_RUNS = "eg:runs"
WAITED = "it waited as long as it may, and another campaign of its group was still under way"  # as in queue.lua


def obstacle(email: str, campaign: Campaign, ledger: Ledger) -> Literal["exists", "queued", "blocked"] | None:
    """Why a sign-up would start no enrollment now, apart from a suppression: the campaign does not begin again for this
    person, or another one of its group is open.

    Args:
        email: the address.
        campaign: the campaign that the sign-up is for.
        ledger: the truth.
    """
    key = ids.enrollment_prefix(campaign.slug, email)
    number = cast(str | None, ledger.redis.hget(_RUNS, key))
    last = ledger.enrollment(f"{key}-{number}") if number else None
    never_began = last is not None and last.why == WAITED
    if number and not never_began and (campaign.reentry == "never" or (last and last.state.is_open)):
        return "exists"
    if not campaign.group:
        return None
    holder = cast(str | None, ledger.redis.hget(ids.contact_key(ids.digest(email)), f"group.{campaign.group}"))
    held_by = ledger.enrollment(holder) if holder else None
    if not held_by or not held_by.state.is_open:
        return None
    return "queued" if campaign.queue_for else "blocked"
