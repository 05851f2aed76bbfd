"""The limits of a sign-up that proves nothing: how often its network may come, its address, and all together."""

from __future__ import annotations

import re

from shared.core.settings import Settings
from shared.domain.catalog import Campaign
from shared.domain.timing import DAY, HOUR, MINUTE
from shared.domain.visitors import Visitor
from shared.ledger import ids
from shared.ledger.enroll_orders import Challenge, Visit
from shared.ledger.orders import Limit

# A network's sign-ups are held above these multiples of WEBHOOK_RATE_PER_IP in a second: offices share an address.
SUSTAINED = ((MINUTE, 3), (HOUR, 10), (DAY, 30))
WIDTHS = (1, 4, 16)  # by how much more a /56 and a /48 may do than a /64
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def visit(email: str, campaign: Campaign | None, visitor: Visitor, solved: Challenge | None, found: Settings) -> Visit:
    """What a sign-up is measured by.

    Args:
        email: the address.
        campaign: the one that the form enrolls in, if any.
        visitor: who sent it.
        solved: the challenge that the visitor solved, if any.
        found: the limits.
    """
    ceilings = (("hour", HOUR, found.signups_per_hour), ("day", DAY, found.signups_per_day))
    group = "solved" if solved else "unproved"
    return Visit(
        confirm=campaign.confirm if campaign else "under-load",
        ceilings=[
            Limit(key=f"sign-ups:{group}:{name}", most=most, window=window) for name, window, most in ceilings if most
        ],
        networks=_sustained(visitor, found.webhook_rate_per_ip),
        address=rated("address", f"{email} {visitor.networks[-1]}", found.webhook_rate_per_address),
        challenge=solved,
        must_solve=bool(found.challenge_key) and found.challenge == "always",
    )


def rated(kind: str, who: str, rate: str, times: int = 1) -> Limit:
    """A limit that the ledger counts.

    Args:
        kind: what it counts by, such as `ip`.
        who: whose requests; stored as a digest.
        rate: such as `10/second`.
        times: how often that much is allowed.
    """
    amount, unit = _parts(rate)
    return Limit(key=f"{kind}:{rate}:{ids.digest(who)}", most=amount * times, window=unit * 1000)


def burst(kind: str, visitor: Visitor, rate: str) -> list[Limit]:
    """How many requests of a kind the networks of a visitor may send at once."""
    return [rated(kind, network, rate, times) for network, times in zip(visitor.networks, WIDTHS, strict=False)]


def _sustained(visitor: Visitor, rate: str) -> list[Limit]:
    amount, unit = _parts(rate)
    return [
        Limit(
            key=f"sign-ups:{window}:{ids.digest(network)}", most=max(1, amount * factor * width // unit), window=window
        )
        for network, width in reversed(list(zip(visitor.networks, WIDTHS, strict=False)))
        for window, factor in SUSTAINED
    ]


def _parts(rate: str) -> tuple[int, int]:
    """How many requests, in how many seconds."""
    amount, unit = re.split("/", rate)
    return int(amount), _UNITS[unit]
