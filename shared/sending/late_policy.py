"""What becomes of a step that was due long ago: its campaign's late policy skips it, moves those after it, or sends
it as it is."""

from __future__ import annotations

from shared.core import log
from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Enrollment
from shared.domain.states import Refusal, StepState
from shared.ledger.claims import Refused
from shared.ledger.client import Ledger

_logger = log.logger("sending")


def apply(enrollment: str, step: int, *, ledger: Ledger, catalog: Catalog, settings: Settings) -> Refused | None:
    """Apply the campaign's late policy to a step that was due long ago.

    Args:
        enrollment: the enrollment's id.
        step: the step's number.
        ledger: where the step is skipped, or the enrollment moved.
        catalog: has the policies.
        settings: name the time zone of contacts without one.

    Returns:
        Why the step does not go out; None if it may be claimed although it is late.
    """
    found = ledger.enrollment(enrollment)
    campaign = catalog.campaigns.get(found.slug) if found else None
    if found and campaign and campaign.late.policy == "skip":
        return Refused(Refusal.DONE, why="late", state=ledger.skip(enrollment, step, "late"))
    if found and campaign and campaign.late.policy == "shift":
        _shift(found, campaign, step, ledger, settings)
    return None


def _shift(run: Enrollment, campaign: Campaign, step: int, ledger: Ledger, settings: Settings) -> None:
    """Move the enrollment's anchor so that the late step is due now and the gaps after it stay the same."""
    contact = ledger.contact(run.contact)
    zone = timing.zone(contact.fields.get("timezone") if contact else None, settings.business_timezone)
    window = campaign.window.window if campaign.window else None
    to_anchor = timing.shifted(timing.Delay(step, run.step(step).offset), ledger.now())
    waiting = [timing.Delay(s.number, s.offset) for s in run.steps if s.state == StepState.SCHEDULED]
    dues = timing.dues(to_anchor, waiting, window, zone)
    ledger.move(run.id, from_anchor=run.anchor, to_anchor=to_anchor, dues=dues)
    _logger.info("run.shifted", enrollment=run.id, step=step, by_ms=to_anchor - run.anchor, request_id=run.request_id)
