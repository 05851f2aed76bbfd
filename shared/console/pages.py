"""The console's pages: what each shows. None changes anything."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, render_template, request

from shared import services
from shared.console import actions
from shared.console.troubles import troubles
from shared.core.errors import RenderingError, WebhookError
from shared.domain.catalog import Campaign
from shared.domain.enrollments import normalized
from shared.domain.segments import SEGMENTS, Segment
from shared.domain.states import LISTED
from shared.emails.rendering import Email
from shared.emails.template_store import Key, Store, name_of
from shared.ledger import ids
from shared.ledger.contacts import Contacts
from shared.ledger.figures import Figures
from shared.ledger.health import read_health
from shared.ledger.template_texts import TemplateTexts
from shared.operations.enrollment_queries import EnrollmentQueries
from shared.preview import test_email

UPCOMING = 10
SUPPRESSED = 200
# A mail's styles are in its elements; it is shown in a frame of ours, without scripts, forms or an origin.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; base-uri 'none'; frame-ancestors 'self'; "
    "sandbox"
)
pages = Blueprint("pages", __name__)


def queries() -> EnrollmentQueries:
    """What there is to see."""
    return EnrollmentQueries(services.ledger(), services.catalog(), services.current_settings())


def texts() -> Store:
    """The emails as they go out now; compiled when the first one is shown."""
    if "texts" not in current_app.extensions:
        current_app.extensions["texts"] = Store(services.catalog(), services.current_settings(), services.ledger())
    store: Store = current_app.extensions["texts"]
    return store


@pages.get("/")
def overview() -> str:
    """How things stand."""
    figures, found = Figures(services.ledger()), queries().overview()
    looked_at = [(queries().detail(enrollment), number) for enrollment, number in figures.next_steps(UPCOMING)]
    upcoming = [
        (run, step)
        for run, number in looked_at
        if run
        for step in run["steps"]
        if step["step"] == number and step["next"]
    ]
    return render_template(
        "overview.html",
        title="Overview",
        found=found,
        backlog=figures.backlog(),
        troubles=troubles(read_health(services.ledger()), found),
        upcoming=sorted(upcoming, key=lambda pair: str(pair[1]["next"])),
        failed=_failed(found)[:5],
    )


@pages.get("/health")
def health() -> str:
    """Every sign of life."""
    seen, found = read_health(services.ledger()), queries().overview()
    return render_template(
        "health.html",
        title="Health",
        health=seen,
        found=found,
        troubles=troubles(seen, found),
        backlog=Figures(services.ledger()).backlog(),
        settings=services.current_settings(),
    )


@pages.get("/enrollments")
def enrollments() -> str:
    """A list, searched or filtered."""
    asked = {name: request.args.get(name, "").strip() for name in ("address", "campaign", "state", "segment")}
    page = request.args.get("page", "0")
    start = int(page) if page.isascii() and page.isdigit() and len(page) <= 9 else 0
    state = asked["state"] if asked["state"] in LISTED else None
    segment = asked["segment"] if asked["segment"] in SEGMENTS else None
    address = asked["address"] or None
    return render_template(
        "enrollments.html",
        title="Enrollments",
        asked=asked,
        start=start,
        found=queries().page(start, address=address, slug=asked["campaign"] or None, state=state, segment=segment),
        campaigns=services.catalog().campaigns.values(),
        states=LISTED,
        segments=SEGMENTS,
    )


@pages.get("/enrollments/<enrollment>")
def enrollment(enrollment: str) -> str:
    """One enrollment's timeline."""
    run = run_of(enrollment)
    others = [other for other in queries().runs_of(run["email"]) if other.id != enrollment] if run["email"] else []
    reasons = (
        list(Contacts(services.ledger()).suppression(ids.digest(normalized(run["email"]))).reasons)
        if run["email"]
        else []
    )
    return render_template(
        "enrollment.html",
        title=run["email"] or "Enrollment",
        run=run,
        others=others,
        offers={step["step"]: actions.for_step(run, step) for step in run["steps"]},
        run_offers=actions.for_run(run),
        reasons=reasons,
    )


def run_of(enrollment: str) -> dict[str, Any]:
    """An enrollment's details; raises WebhookError 404."""
    if not (run := queries().detail(enrollment)):
        raise WebhookError(404, "There is no such enrollment. Finished ones are kept for 90 days.")
    return run


@pages.get("/campaigns")
def campaigns() -> str:
    """All campaigns with their funnels."""
    figures = Figures(services.ledger())
    listed = [
        {"campaign": campaign, "funnel": figures.funnel(campaign.slug), "states": figures.states(campaign.slug)}
        for campaign in services.catalog().campaigns.values()
    ]
    rejected = TemplateTexts(services.ledger()).rejected()
    return render_template("campaigns.html", title="Campaigns", listed=listed, rejected=rejected)


@pages.get("/campaigns/<slug>")
def campaign(slug: str) -> str:
    """One campaign: its steps, texts and figures."""
    campaign = _campaign(slug)
    figures, rejected = Figures(services.ledger()), TemplateTexts(services.ledger()).rejected()
    keys = [(slug, template) for step in campaign.steps for template in dict.fromkeys(step.templates)]
    counts = figures.funnel(slug)
    return render_template(
        "campaign.html",
        title=campaign.name,
        campaign=campaign,
        counts=counts,
        funnel_total=f"{counts['enrolled']} enrolled" if "enrolled" in counts else "",
        states=figures.states(slug),
        edited={template for _, template in keys if texts().edited((slug, template))},
        rejected={key[1]: rejected[name_of(key)] for key in keys if name_of(key) in rejected},
        used_by={step.number: _used_by(campaign, step.number) for step in campaign.steps},
    )


@pages.get("/campaigns/<slug>/<template>")
def email(slug: str, template: str) -> str:
    """One email's preview, at desktop and phone width."""
    campaign, key = _campaign(slug), key_of(slug, template)
    segment, problem, email, settings = segment_of(request.args.get("segment")), "", None, services.current_settings()
    try:
        email = sample(key, segment)
    except RenderingError as error:
        problem = str(error)
    return render_template(
        "email.html",
        title=template,
        campaign=campaign,
        template=template,
        segment=segment,
        segments=SEGMENTS,
        email=email,
        problem=problem,
        edited=texts().edited(key),
        rejected=TemplateTexts(services.ledger()).rejected().get(name_of(key)),
        can_test=bool(settings.resend_api_key and settings.resend_from_email),
    )


@pages.get("/campaigns/<slug>/<template>/mail")
def mail(slug: str, template: str) -> Response:
    """The email itself, for the frames of its preview."""
    try:
        email = sample(key_of(slug, template), segment_of(request.args.get("segment")))
    except RenderingError as error:
        raise WebhookError(422, str(error)) from None
    return Response(email.html, mimetype="text/html", headers={"Content-Security-Policy": MAIL_POLICY})


def sample(key: Key, segment: Segment) -> Email:
    """An email filled for a made-up person; raises RenderingError."""
    return test_email.sample(
        key, segment, templates=texts(), catalog=services.catalog(), settings=services.current_settings()
    )


def key_of(slug: str, template: str) -> Key:
    """A template that exists; raises WebhookError 404."""
    if (slug, template) not in services.catalog().sources:
        raise WebhookError(404, "No campaign has this email.")
    return slug, template


def segment_of(name: str | None) -> Segment:
    """A segment by its name, or the first."""
    return next((known for known in SEGMENTS if known == name), SEGMENTS[0])


def _campaign(slug: str) -> Campaign:
    if not (campaign := services.catalog().campaigns.get(slug)):
        raise WebhookError(404, "There is no such campaign.")
    return campaign


@pages.get("/failures")
def failures() -> str:
    """What a person must look at."""
    found = queries().overview()
    rows = _failed(found)
    offers = [actions.for_step(run, failure) for run, failure in rows]
    return render_template(
        "failures.html", title="Failures", rows=list(zip(rows, offers, strict=True)), total=found["to_look_at"]
    )


def _failed(found: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each enrollment of the overview's failures, with the step."""
    runs = {failure["enrollment"]: queries().detail(failure["enrollment"]) for failure in found["failures"]}
    return [(run, failure) for failure in found["failures"] if (run := runs[failure["enrollment"]])]


@pages.get("/suppressions")
def suppressions() -> str:
    """Who gets no email."""
    found = Contacts(services.ledger()).suppressions(SUPPRESSED)
    return render_template("suppressions.html", title="Suppressions", found=found, most=SUPPRESSED)


def _used_by(campaign: Campaign, number: int) -> list[tuple[str, str]]:
    """Which template a step takes for whom; one for all is for "everybody"."""
    step = campaign.step(number)
    if step is None or isinstance(step.template, str):
        return [("everybody", step.template)] if step and isinstance(step.template, str) else []
    return [
        ("everybody else" if segment == "default" else segment, template) for segment, template in step.template.items()
    ]
