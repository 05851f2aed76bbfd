"""The limits of a sign-up that proves nothing: how often its network may come, its address, and all together."""

from __future__ import annotations

from limits import parse

from shared.core.settings import Settings
from shared.domain.catalog import Campaign
from shared.domain.timing import DAY, HOUR, MINUTE
from shared.domain.visitors import Visitor
from shared.ledger import ids, limits
from shared.ledger.enroll_orders import Challenge, Visit
from shared.ledger.orders import Limit

# A network's sign-ups are held above these multiples of WEBHOOK_RATE_PER_IP in a second: offices share an address.
SUSTAINED = ((MINUTE, 3), (HOUR, 10), (DAY, 30))
WIDTHS = (1, 4, 16)  # by how much more a /56 and a /48 may do than a /64


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
        address=limits.limit("address", f"{email} {visitor.networks[-1]}", found.webhook_rate_per_address),
        challenge=solved,
        must_solve=bool(found.challenge_key) and found.challenge == "always",
    )


def burst(kind: str, visitor: Visitor, rate: str) -> list[Limit]:
    """How many requests of a kind the networks of a visitor may send at once."""
    return [limits.limit(kind, network, rate, times) for network, times in zip(visitor.networks, WIDTHS, strict=False)]


def _sustained(visitor: Visitor, rate: str) -> list[Limit]:
    """The widest network first: what it holds back is not counted by the narrower ones."""
    item = parse(rate)
    widths = reversed(list(zip(visitor.networks, WIDTHS, strict=False)))
    return [
        Limit(
            key=f"sign-ups:{window}:{ids.digest(network)}",
            most=max(1, item.amount * factor * width // item.get_expiry()),
            window=window,
        )
        for network, width in widths
        for window, factor in SUSTAINED
    ]
