"""The console's campaign pages: funnels, texts, and each email as it goes out. Read-only."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, render_template, request

from shared import services
from shared.core.errors import RenderingError, WebhookError
from shared.domain.catalog import Campaign
from shared.domain.segments import SEGMENTS, Segment
from shared.emails.rendering import Email
from shared.emails.template_store import Key, Store, name_of
from shared.ledger.figures import Figures
from shared.ledger.template_texts import TemplateTexts
from shared.preview import test_email

# An email has inline styles; it is shown in our own frame, without scripts, forms or an origin.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; base-uri 'none'; frame-ancestors 'self'; "
    "sandbox"
)
campaign_pages = Blueprint("campaigns", __name__)


def texts() -> Store:
    """The emails as they go out now; compiled on first use."""
    if "texts" not in current_app.extensions:
        current_app.extensions["texts"] = Store(services.catalog(), services.current_settings(), services.ledger())
    store: Store = current_app.extensions["texts"]
    return store


@campaign_pages.get("/campaigns")
def campaigns() -> str:
    """All campaigns with their funnels."""
    figures = Figures(services.ledger())
    listed = [
        {"campaign": campaign, "funnel": figures.funnel(campaign.slug), "states": figures.states(campaign.slug)}
        for campaign in services.catalog().campaigns.values()
    ]
    rejected = TemplateTexts(services.ledger()).rejected()
    return render_template("campaigns.html", title="Campaigns", listed=listed, rejected=rejected)


@campaign_pages.get("/campaigns/<slug>")
def campaign(slug: str) -> str:
    """One campaign: its steps, texts and metrics."""
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


@campaign_pages.get("/campaigns/<slug>/<template>")
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


@campaign_pages.get("/campaigns/<slug>/<template>/mail")
def mail(slug: str, template: str) -> Response:
    """The email itself, for the frames of its preview."""
    try:
        email = sample(key_of(slug, template), segment_of(request.args.get("segment")))
    except RenderingError as error:
        raise WebhookError(422, str(error)) from None
    return Response(email.html, mimetype="text/html", headers={"Content-Security-Policy": MAIL_POLICY})


def sample(key: Key, segment: Segment) -> Email:
    """An email for a sample person; raises RenderingError."""
    return test_email.sample(
        key, segment, templates=texts(), catalog=services.catalog(), settings=services.current_settings()
    )


def key_of(slug: str, template: str) -> Key:
    """An existing template; raises WebhookError 404."""
    if (slug, template) not in services.catalog().sources:
        raise WebhookError(404, "No campaign has this email.")
    return slug, template


def segment_of(name: str | None) -> Segment:
    """The named segment, or the first."""
    return next((known for known in SEGMENTS if known == name), SEGMENTS[0])


def _campaign(slug: str) -> Campaign:
    if not (campaign := services.catalog().campaigns.get(slug)):
        raise WebhookError(404, "There is no such campaign.")
    return campaign


def _used_by(campaign: Campaign, number: int) -> list[tuple[str, str]]:
    """Which template a step uses for whom; a template for all is for "everyone"."""
    step = campaign.step(number)
    if step is None or isinstance(step.template, str):
        return [("everyone", step.template)] if step and isinstance(step.template, str) else []
    return [
        ("everyone else" if segment == "default" else segment, template) for segment, template in step.template.items()
    ]
