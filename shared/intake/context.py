"""Where and when something comes in, and what follows from it for every order: which enrollments end, and the key of a
new one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.core.settings import Settings
from shared.domain.catalog import Campaign, Catalog
from shared.domain.visitors import Visitor
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.enroll_orders import Challenge, Exit, Start

CLOCKS_DIFFER = 60_000  # milliseconds by which another system's clock may be behind ours


@dataclass(frozen=True)
class Intake:
    """Where and when something comes in.

    Attributes:
        now: the webhook's time, in milliseconds since 1970 UTC.
        request_id: follows the emails from here to the provider.
        key: the caller's `Idempotency-Key`: the same key within 24 hours gets the first answer and has no further
            effect.
        body: a digest of what came with the key.
        page: the page of the website that it came from, stored with a consent.
        network: the network that it came from, stored with a consent.
        leads: whether the owner is alerted at once to an urgent assessment.
        lifts: whether a consent counts after an unsubscribe; one that was given before it does not.
        visitor: who sent it, if nothing proves it; then limits apply, and `solved` is the challenge that they solved.
        confirms: the id of the held sign-up that the owner of the mailbox confirms.
    """

    ledger: Ledger
    catalog: Catalog
    settings: Settings
    now: int
    request_id: str
    key: str | None = None
    body: str = ""
    page: str | None = None
    network: str | None = None
    leads: bool = True
    lifts: bool = True
    visitor: Visitor | None = None
    solved: Challenge | None = None
    confirms: str | None = None

    @property
    def instant(self) -> datetime:
        """The webhook's time."""
        return datetime.fromtimestamp(self.now / 1000, UTC)


def exits(reason: str, at: int, intake: Intake) -> Exit:
    """What ends the enrollments that list a reason, if they began before it."""
    return Exit(reason=reason, slugs=intake.catalog.ending_on(reason), before=at + CLOCKS_DIFFER)


def start_of(campaign: Campaign, subject: str, intake: Intake) -> Start:
    """The campaign and the enrollment's key.

    Args:
        subject: the address, or the event key of a per-event campaign.
    """
    key = ids.enrollment_prefix(campaign.slug, subject)
    return Start(key=key, slug=campaign.slug, kind=campaign.kind, request_id=intake.request_id)
