"""The limits of a sign-up that proves nothing: how often its network may come, its address, and all together."""

from __future__ import annotations

from limits import parse

from shared.core.settings import Settings
from shared.domain.catalog import Campaign
from shared.domain.timing import DAY, HOUR, MINUTE
from shared.domain.visitors import Visitor, mailbox
from shared.ledger import ids, limits
from shared.ledger.enroll_orders import Challenge, Visit
from shared.ledger.orders import Limit

# A network's sign-ups are held above these multiples of WEBHOOK_RATE_PER_IP in a second: offices share an address.
SUSTAINED = ((MINUTE, 3), (HOUR, 10), (DAY, 30))
SPELLINGS = 3  # of one mailbox that may sign up in a week; others are held
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
    own = mailbox(email)
    return Visit(
        confirm=campaign.confirm if campaign else "under-load",
        ceilings=_ceilings("unproved", found),
        solved_ceilings=_ceilings("solved", found),
        networks=_sustained(visitor, found.webhook_rate_per_ip),
        mailbox=Limit(key=f"spellings:{ids.digest(own)}", most=SPELLINGS, window=7 * DAY),
        address=limits.limit("address", f"{own} {visitor.networks[-1]}", found.webhook_rate_per_address),
        challenge=solved,
        must_solve=bool(found.challenge_key) and found.challenge == "always",
    )


def _ceilings(group: str, found: Settings) -> list[Limit]:
    windows = (("hour", HOUR, found.signups_per_hour), ("day", DAY, found.signups_per_day))
    return [Limit(key=f"sign-ups:{group}:{name}", most=most, window=window) for name, window, most in windows if most]


def burst(kind: str, visitor: Visitor, rate: str) -> list[Limit]:
    """How many requests of a kind the networks of a visitor may send at once."""
    return [limits.limit(kind, network, rate, times) for network, times in zip(visitor.networks, WIDTHS, strict=False)]


def _sustained(visitor: Visitor, rate: str) -> list[Limit]:
    """The narrowest network first: what it holds back is not counted by the wider ones."""
    item = parse(rate)
    widths = zip(visitor.networks, WIDTHS, strict=False)
    return [
        Limit(
            key=f"sign-ups:{window}:{ids.digest(network)}",
            most=max(1, item.amount * factor * width // item.get_expiry()),
            window=window,
        )
        for network, width in widths
        for window, factor in SUSTAINED
    ]
