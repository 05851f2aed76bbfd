"""What a person sees of enrollments and of the system; the same in the console, its API and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.core.errors import ActionError
from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Catalog
from shared.domain.enrollments import SCORES, Contact, Enrollment, Step, normalized
from shared.domain.states import EnrollmentState, StepState
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.figures import Figures
from shared.ledger.health import read_health
from shared.ledger.listing import Listing

FACTS = ("business_name", *SCORES, "timezone", "source")  # shown of a contact besides address, name and segment
REPORTED = ("delivered", "opened", "clicked", "bounced", "complained")
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
        """A person's enrollments, latest first."""
        return self._existing(self._listing.of_contact(ids.digest(normalized(address))))

    def detail(self, enrollment: str) -> dict[str, Any] | None:
        """One enrollment with its timeline, or None if it does not exist."""
        run = self.ledger.enrollment(enrollment)
        if run is None:
            return None
        contact = self.ledger.contact(run.contact) or Contact()
        zone = timing.zone(contact.fields.get("timezone"), self.settings.business_timezone)
        more = {
            "anchor": _instant(run.anchor),
            "paused_at": _instant(run.paused_at),
            "why": run.why,
            "timezone": str(zone),
            "subscription": contact.subscription,
            "consented_at": _instant(int(contact.fields["consent_at"])) if "consent_at" in contact.fields else None,
            "facts": {name: contact.fields[name] for name in FACTS if name in contact.fields},
            "steps": [
                _step(run.id, step) | {"template": self._template(run, step.number, contact)} for step in run.steps
            ],
        }
        return self._summary(run, contact) | more

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
            start: 0, or the `next` of the page before.
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
        rows = [self._summary(run, self.ledger.contact(run.contact) or Contact()) for run in runs]
        return {"enrollments": rows, "next": following}

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
            "fenced": health.fence,
            "scheduler_age_ms": health.tick_age,
            "workers": health.workers["send"],
            "scheduled": health.scheduled,
            "queued": health.queued,
            "outbox": health.outbox,
            **self._listing.counts(),
            "failures": [
                {"enrollment": run, **_step(run, step)} for run, step in failures if step.state.needs_a_person
            ],
        }

    def _template(self, run: Enrollment, number: int, contact: Contact) -> str | None:
        """The text that a step would get now; None if the campaign no longer has the step."""
        campaign = self.catalog.campaigns.get(run.slug)
        step = campaign.step(number) if campaign else None
        return step.template_for(contact.segment) if step else None

    def _existing(self, names: list[str]) -> list[Enrollment]:
        return [run for name in names if (run := self.ledger.enrollment(name))]

    def _summary(self, run: Enrollment, contact: Contact) -> dict[str, Any]:
        waiting = [
            step.next for step in run.steps if step.state.is_open and step.next and run.state == EnrollmentState.ACTIVE
        ]
        campaign = self.catalog.campaigns.get(run.slug)
        return {
            "id": run.id,
            "email": contact.fields.get("email"),
            "name": contact.fields.get("name") or contact.fields.get("first_name"),
            "campaign": run.slug,
            "campaign_name": campaign.name if campaign else run.slug,
            "segment": contact.segment if contact.assessed else None,
            "state": run.state,
            "sent": sum(step.state == StepState.SENT for step in run.steps),
            "of": len(run.steps),
            "next_email_at": _instant(min(waiting, default=None)),
        }


def _instant(at: int | None) -> str | None:
    return (
        None
        if at is None
        else datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _step(enrollment: str, step: Step) -> dict[str, Any]:
    return {
        "step": step.number,
        "state": step.state,
        "due": _instant(step.due),
        "next": _instant(step.next) if step.state.is_open else None,
        "sent_at": _instant(step.sent_at),
        "sent_by": step.sent_by,
        "attempts": step.attempts,
        "resend_id": step.provider_id,
        **{what: _instant(getattr(step, what)) for what in REPORTED},
        "note": step.note,
        "why": step.why,
        "batched": step.state == StepState.IN_DOUBT
        and step.frozen is not None
        and not step.frozen.startswith(enrollment),
    }
