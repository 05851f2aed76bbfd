"""The console's pages: what each shows. None changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Request

from shared import services
from shared.console import actions
from shared.console.looks import Shown
from shared.console.troubles import troubles
from shared.core.errors import RenderingError, WebhookError
from shared.core.settings import Settings
from shared.domain.catalog import Campaign
from shared.domain.enrollments import normalized
from shared.domain.segments import SEGMENTS, Segment
from shared.domain.states import LISTED
from shared.emails.rendering import Email
from shared.emails.template_store import Key, Store, name_of
from shared.ledger import ids
from shared.ledger.contacts import Contacts, Suppression
from shared.ledger.figures import Figures
from shared.ledger.health import read_health
from shared.ledger.template_texts import TemplateTexts
from shared.operations.enrollment_queries import EnrollmentQueries
from shared.preview import test_email

UPCOMING = 10
SUPPRESSED = 200


@dataclass(frozen=True)
class Views:
    """Every page, from the ledger as it is.

    Attributes:
        settings: of this process.
    """

    settings: Settings

    @property
    def desk(self) -> EnrollmentQueries:
        """What there is to see."""
        return EnrollmentQueries(services.ledger(), services.catalog(), self.settings)

    @cached_property
    def texts(self) -> Store:
        """The emails as they go out now."""
        return Store(services.catalog(), self.settings, services.ledger())

    def overview(self, _request: Request) -> Shown:
        """How things stand."""
        desk, figures = self.desk, Figures(services.ledger())
        found = desk.overview()
        trouble = troubles(read_health(services.ledger()), found)
        looked_at = [(desk.detail(enrollment), number) for enrollment, number in figures.next_steps(UPCOMING)]
        upcoming = [(run, step) for run, number in looked_at if run for step in run["steps"] if step["step"] == number and step["next"]]
        values = {
            "found": found,
            "backlog": figures.backlog(),
            "troubles": trouble,
            "upcoming": sorted(upcoming, key=lambda pair: str(pair[1]["next"])),
            "failed": self._failed(found)[:5],
        }
        return Shown("overview.html", "Overview", values)

    def health(self, _request: Request) -> Shown:
        """Every sign of life."""
        found = self.desk.overview()
        health = read_health(services.ledger())
        values = {"health": health, "found": found, "troubles": troubles(health, found), "backlog": Figures(services.ledger()).backlog()}
        return Shown("health.html", "Health", values | {"settings": self.settings})

    def enrollments(self, request: Request) -> Shown:
        """A list, searched or filtered."""
        asked = {name: request.args.get(name, "").strip() for name in ("address", "campaign", "state", "segment")}
        page = request.args.get("page", "0")
        start = int(page) if page.isascii() and page.isdigit() and len(page) <= 9 else 0
        state = asked["state"] if asked["state"] in LISTED else None
        segment = asked["segment"] if asked["segment"] in SEGMENTS else None
        address = asked["address"] or None
        found = self.desk.page(start, address=address, slug=asked["campaign"] or None, state=state, segment=segment)
        values = {"asked": asked, "start": start, "found": found, "campaigns": services.catalog().campaigns.values()}
        return Shown("enrollments.html", "Enrollments", values | {"states": LISTED, "segments": SEGMENTS})

    def enrollment(self, _request: Request, enrollment: str) -> Shown:
        """One enrollment's timeline."""
        run = self.run(enrollment)
        others = [other for other in self.desk.runs_of(run["email"]) if other.id != enrollment] if run["email"] else []
        reasons = list(Contacts(services.ledger()).suppression(ids.digest(normalized(run["email"]))).reasons) if run["email"] else []
        offers = {step["step"]: actions.for_step(run, step) for step in run["steps"]}
        values = {"run": run, "others": others, "offers": offers, "run_offers": actions.for_run(run), "reasons": reasons}
        return Shown("enrollment.html", run["email"] or "Enrollment", values)

    def run(self, enrollment: str) -> dict[str, Any]:
        """An enrollment's details; raises WebhookError 404."""
        if not (run := self.desk.detail(enrollment)):
            raise WebhookError(404, "There is no such enrollment. Finished ones are kept for 90 days.")
        return run

    def campaigns(self, _request: Request) -> Shown:
        """All campaigns with their funnels."""
        figures, rejected = Figures(services.ledger()), TemplateTexts(services.ledger()).rejected()
        listed = [
            {"campaign": campaign, "funnel": figures.funnel(campaign.slug), "states": figures.states(campaign.slug)}
            for campaign in services.catalog().campaigns.values()
        ]
        return Shown("campaigns.html", "Campaigns", {"listed": listed, "rejected": rejected})

    def campaign(self, _request: Request, slug: str) -> Shown:
        """One campaign: its steps, texts and figures."""
        campaign = self._campaign(slug)
        figures, rejected = Figures(services.ledger()), TemplateTexts(services.ledger()).rejected()
        keys = [(slug, template) for step in campaign.steps for template in dict.fromkeys(step.templates)]
        values = {
            "campaign": campaign,
            "counts": (counts := figures.funnel(slug)),
            "funnel_total": f"{counts['enrolled']} enrolled" if "enrolled" in counts else "",
            "states": figures.states(slug),
            "edited": {template for _, template in keys if self.texts.edited((slug, template))},
            "rejected": {key[1]: rejected[name_of(key)] for key in keys if name_of(key) in rejected},
            "used_by": {step.number: _used_by(campaign, step.number) for step in campaign.steps},
        }
        return Shown("campaign.html", campaign.name, values)

    def email(self, request: Request, slug: str, template: str) -> Shown:
        """One email's preview, at desktop and phone width."""
        campaign, key = self._campaign(slug), self.key(slug, template)
        segment, problem, email = self.segment(request), "", None
        try:
            email = self.sample(key, segment)
        except RenderingError as error:
            problem = str(error)
        values = {
            "campaign": campaign,
            "template": template,
            "segment": segment,
            "segments": SEGMENTS,
            "email": email,
            "problem": problem,
            "edited": self.texts.edited(key),
            "rejected": TemplateTexts(services.ledger()).rejected().get(name_of(key)),
            "can_test": bool(self.settings.resend_api_key and self.settings.resend_from_email),
        }
        return Shown("email.html", template, values)

    def sample(self, key: Key, segment: Segment) -> Email:
        """An email filled for a made-up person; raises RenderingError."""
        return test_email.sample(key, segment, templates=self.texts, catalog=services.catalog(), settings=self.settings)

    def key(self, slug: str, template: str) -> Key:
        """A template that exists; raises WebhookError 404."""
        if (slug, template) not in services.catalog().sources:
            raise WebhookError(404, "No campaign has this email.")
        return slug, template

    def segment(self, request: Request) -> Segment:
        """The segment that is asked for, or the first."""
        return self.named(request.args.get("segment"))

    def named(self, segment: str | None) -> Segment:
        """A segment by its name, or the first."""
        return next((known for known in SEGMENTS if known == segment), SEGMENTS[0])

    def _campaign(self, slug: str) -> Campaign:
        if not (campaign := services.catalog().campaigns.get(slug)):
            raise WebhookError(404, "There is no such campaign.")
        return campaign

    def failures(self, _request: Request) -> Shown:
        """What a person must look at."""
        found = self.desk.overview()
        rows = self._failed(found)
        offers = [actions.for_step(run, failure) for run, failure in rows]
        return Shown("failures.html", "Failures", {"rows": list(zip(rows, offers, strict=True)), "total": found["to_look_at"]})

    def _failed(self, found: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Each enrollment of the overview's failures, with the step."""
        runs = {failure["enrollment"]: self.desk.detail(failure["enrollment"]) for failure in found["failures"]}
        return [(run, failure) for failure in found["failures"] if (run := runs[failure["enrollment"]])]

    def suppressions(self, _request: Request) -> Shown:
        """Who gets no email."""
        found: list[Suppression] = Contacts(services.ledger()).suppressions(SUPPRESSED)
        return Shown("suppressions.html", "Suppressions", {"found": found, "most": SUPPRESSED})


def _used_by(campaign: Campaign, number: int) -> list[tuple[str, str]]:
    """Which template a step takes for whom; one for all is for "everybody"."""
    step = campaign.step(number)
    if step is None or isinstance(step.template, str):
        return [("everybody", step.template)] if step and isinstance(step.template, str) else []
    return [("everybody else" if segment == "default" else segment, template) for segment, template in step.template.items()]
