"""The campaigns of the property test: few and short, with every setting that decides whether and when an email goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared.domain.catalog import Campaign, Catalog
from shared.emails.template_store import compile_templates
from shared.intake import meetings
from tests.support.world import SETTINGS

BOOKING = "calcom-booking"
_TEXT = "Subject: Letter {}\n\nDear {{{{ first_name | default('friend') }}}}, all the best."
# cannot be written to a contact without a business name
_NAMED = "Subject: Letter {}\n\nTo {{{{ business_name }}}}, all the best."


def _campaign(slug: str, hours: tuple[int, ...], **settings: Any) -> Campaign:
    """A campaign whose letters go out at these hours after the anchor; negative: before it."""
    steps: list[dict[str, Any]] = [
        {"number": n, "after" if h >= 0 else "before": f"{abs(h)}h", "template": f"letter-{n}"}
        for n, h in enumerate(hours, 1)
    ]
    if hours[0] >= 0:
        steps[0]["sent_by"] = "website-if-reported"
    return Campaign.model_validate({"slug": slug, "name": slug, "trigger": slug, "steps": steps} | settings)


CAMPAIGNS = (
    _campaign(
        "letters",
        (0, 1, 24),
        group="nurture",
        late={"after": "12h", "policy": "shift"},
        confirm="under-load",
        requires=["assessment"],
        exit_on=["booked"],
    ),
    _campaign(
        "course",
        (0, 2),
        confirm="always",
        group="nurture",
        late={"after": "2h", "policy": "send"},
        reentry="when-finished",
    ),
    _campaign(
        "notices",
        (0, 24),
        kind="transactional",
        confirm="never",
        late={"after": "1h", "policy": "skip"},
        reentry="when-finished",
    ),
    _campaign(
        "encore",
        (0, 24),
        group="nurture",
        queue_for="26h",
        late={"after": "12h", "policy": "send"},
        reentry="when-finished",
        exit_on=["booked"],
    ),
    _campaign(
        BOOKING,
        (-24, -1),
        kind="transactional",
        group="calls",
        late={"after": "30m", "policy": "skip"},
        reentry="per-event",
    ),
    _campaign(
        meetings.NO_SHOW,
        (1, 24),
        group="calls",
        late={"after": "12h", "policy": "shift"},
        reentry="per-event",
        exit_on=["booked"],
    ),
)
NAMED = 2  # the number of the letter that needs a business name
CATALOG = Catalog(
    {campaign.slug: campaign for campaign in CAMPAIGNS},
    {
        (campaign.slug, f"letter-{n}"): (_NAMED if n == NAMED else _TEXT).format(n)
        for campaign in CAMPAIGNS
        for n in (1, 2, 3)
    },
)
TEMPLATES = compile_templates(CATALOG, SETTINGS)
_LETTERS = CAMPAIGNS[0]
SHORTER = replace(
    CATALOG, campaigns={**CATALOG.campaigns, "letters": _LETTERS.model_copy(update={"steps": _LETTERS.steps[:-1]})}
)
