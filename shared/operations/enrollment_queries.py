"""What a person sees of enrollments and of the system; the same in the console, its API and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.core.errors import ActionError
from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.addresses import canonical
from shared.domain.catalog import Catalog
from shared.domain.enrollments import Contact, Enrollment
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.figures import Figures
from shared.ledger.health import read_health
from shared.ledger.listing import Listing
from shared.operations import enrollment_json

PAGE = 50
LOOK_AT = 1000  # enrollments at most, for one page of a segment


@dataclass(frozen=True)
class EnrollmentQueries:
    """All queries. Every instant is text: RFC 3339, in UTC."""

    ledger: Ledger
    catalog: Catalog
    settings: Settings

    @property
    def _listing(self) -> Listing:
        return Listing(self.ledger)

    def find(self, who: str) -> str:
        """Find an enrollment.

        Args:
            who: an enrollment's id; or an address, for its only open enrollment or its only one.

        Raises:
            ActionError: if there is none, or more than one.
        """
        if "@" not in who:
            return who
        runs = self.runs_of(who)
        if not runs:
            raise ActionError("there is no enrollment of this address; `evergreen list` shows them all")
        fit = [run for run in runs if run.state.is_open] or runs
        if len(fit) > 1:
            raise ActionError(f"this address has several enrollments; choose one: {', '.join(run.id for run in fit)}")
        return fit[0].id

    def runs_of(self, address: str) -> list[Enrollment]:
        """A person's enrollments, latest first, however their address is written."""
        return self._existing(self._listing.of_contact(ids.digest(canonical(address))))

    def detail(self, enrollment: str) -> dict[str, Any] | None:
        """One enrollment with its timeline, or None if it does not exist."""
        run = self.ledger.enrollment(enrollment)
        if run is None:
            return None
        contact = self.ledger.contact(run.contact) or Contact()
        zone = timing.zone(contact.fields.get("timezone"), self.settings.business_timezone)
        return enrollment_json.detail(run, contact, self.catalog.campaigns.get(run.slug), zone)

    def page(
        self,
        start: int = 0,
        *,
        address: str | None = None,
        slug: str | None = None,
        state: str | None = None,
        segment: str | None = None,
    ) -> dict[str, Any]:
        """A page of enrollments, latest first, and where the next page starts.

        Args:
            start: 0, or the previous page's `next`.
            address: only those of this person.
            slug: only those of this campaign.
            state: only those in this state.
            segment: only those whose contact is in this segment now; the page may then be short.
        """
        if address:
            found = [run for run in self.runs_of(address) if slug in (None, run.slug) and state in (None, run.state)]
            names, following = self._within(segment, [run.id for run in found]), None
        else:
            names, following = self._names(start, slug, state, segment)
        runs = self._existing(names)
        return {"enrollments": [self._summary(run) for run in runs], "next": following}

    def _names(
        self, start: int, slug: str | None, state: str | None, segment: str | None
    ) -> tuple[list[str], int | None]:
        """A page of ids; filters without a list of their own look at LOOK_AT enrollments."""
        following: int | None = start
        found: list[str] = []
        while following is not None and following < start + (LOOK_AT if segment else 1) and len(found) < PAGE:
            page = self._listing.page(following, PAGE, slug=slug, state=state)
            fit = self._within(segment, page.enrollments)
            if len(found) + len(fit) > PAGE:
                last = fit[PAGE - len(found) - 1]
                return [*found, *fit[: PAGE - len(found)]], following + page.enrollments.index(last) + 1
            found, following = found + fit, page.next
        return found, following

    def _within(self, segment: str | None, names: list[str]) -> list[str]:
        if not segment:
            return names
        return [name for name, own in zip(names, Figures(self.ledger).segments(names), strict=True) if own == segment]

    def overview(self) -> dict[str, Any]:
        """The current state: what is due, late and failed, what stops sending, and what waits to be recorded."""
        health = read_health(self.ledger)
        failures = [
            (run.id, run.step(number))
            for name, number in self._listing.failures()
            if (run := self.ledger.enrollment(name))
        ]
        return {
            "sending_stopped": health.gate,
            "first_emails_stopped": health.first_emails_stopped,
            "held": health.held,
            "fenced": health.fence,
            "scheduler_age_ms": health.tick_age,
            "workers": health.workers["send"],
            "scheduled": health.scheduled,
            "queued": health.queued,
            "outbox": health.outbox,
            **self._listing.counts(),
            "failures": [
                {"enrollment": run, **enrollment_json.step(run, step)}
                for run, step in failures
                if step.state.needs_a_person
            ],
        }

    def _existing(self, names: list[str]) -> list[Enrollment]:
        return [run for name in names if (run := self.ledger.enrollment(name))]

    def _summary(self, run: Enrollment) -> dict[str, Any]:
        contact = self.ledger.contact(run.contact) or Contact()
        return enrollment_json.summary(run, contact, self.catalog.campaigns.get(run.slug))
