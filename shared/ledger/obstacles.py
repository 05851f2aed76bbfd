"""What keeps a contact from being enrolled, read without a change: what enroll.lua would answer now."""

from __future__ import annotations

from typing import Literal, cast

from shared.domain.catalog import Campaign
from shared.ledger import ids
from shared.ledger.client import Ledger

_RUNS = "eg:runs"


def obstacle(email: str, campaign: Campaign, ledger: Ledger) -> Literal["exists", "blocked"] | None:
    """Why a sign-up would start no enrollment, apart from a suppression: the campaign does not begin again for this
    person, or another one of its group is open.

    Args:
        email: the address.
        campaign: the campaign that the sign-up is for.
        ledger: the truth.
    """
    key = ids.enrollment_prefix(campaign.slug, email)
    number = cast(str | None, ledger.redis.hget(_RUNS, key))
    if number and (campaign.reentry == "never" or _is_open(f"{key}-{number}", ledger)):
        return "exists"
    if campaign.group:
        holder = cast(str | None, ledger.redis.hget(ids.contact_key(ids.digest(email)), f"group.{campaign.group}"))
        if holder and _is_open(holder, ledger):
            return "blocked"
    return None


def _is_open(enrollment: str, ledger: Ledger) -> bool:
    found = ledger.enrollment(enrollment)
    return found is not None and found.state.is_open
