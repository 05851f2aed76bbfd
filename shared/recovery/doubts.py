"""Doubts: what ended in doubt and stands in Resend's list was sent, and is settled without a person.

What is not there stays in doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.core import log
from shared.domain import timing
from shared.domain.states import StepState
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.listing import Listing
from shared.recovery.step_outcomes import EARLY
from shared.recovery.verify_resend import ResendWitness, fix, of_contacts

SOON = timing.HOUR // 12  # after the last look, where there are new doubts
AGAIN = timing.HOUR  # where there are none
FRESH = timing.HOUR // 60  # so long before a look, a doubt may have come too late for it
YOUNG = 3 * timing.DAY  # what is not found by then is a person's
_logger = log.logger("doubts")


@dataclass
class Doubts:
    """Compares what is in doubt with Resend's list, now and then. Asks Resend nothing while nothing is in doubt.

    Attributes:
        ledger: holds the doubts.
        witness: makes what compares, when it is needed.
    """

    ledger: Ledger
    witness: Callable[[], ResendWitness]
    _looked: int | None = field(default=None, init=False)

    def poll(self) -> None:
        """Look, if it is time: soon after a doubt began, and then each hour for three days."""
        now = self.ledger.now()
        young = {id: since for id, since in Listing(self.ledger).doubts().items() if now - since < YOUNG}
        if not young:
            return
        if self._looked is not None:
            wait = SOON if max(young.values()) + FRESH > self._looked else AGAIN
            if 0 <= now - self._looked < wait:
                return
        self._looked = now
        self.settle(list(young))

    def settle(self, emails: list[str]) -> int:
        """Make `sent` what Resend's list shows beyond doubt; returns how many.

        Args:
            emails: the ids of what is in doubt.
        """
        contacts: set[str] = set()
        since = self.ledger.now()
        for enrollment, number in map(ids.parse_email_id, emails):
            if (run := self.ledger.enrollment(enrollment)) and (step := run.step(number)).state == StepState.IN_DOUBT:
                contacts.add(run.contact)
                since = min(since, (step.due if step.posted is None else step.posted) - EARLY)
        since = max(since, self.ledger.now() - YOUNG - timing.DAY)
        found = self.witness().compare(of_contacts(self.ledger, contacts), since) if contacts else []
        settled = fix([finding for finding in found if finding.found], self.ledger)
        for finding in settled:
            _logger.info("doubt.settled", email_id=finding.what, sent=finding.fixed)
        return sum(finding.fixed for finding in settled)
