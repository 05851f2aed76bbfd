"""Forms: shared by webhooks that take a person's details, from a website's visitors or from the operator."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TypeVar

from flask import Request, Response

from shared import services
from shared.core.errors import WebhookError
from shared.domain.forms import NewClient, NoShow, PostCall, ProvedSignUp, SignUp
from shared.intake import enrolling
from shared.intake.context import Intake
from shared.ledger import ids
from shared.ledger.enroll_orders import Challenge
from shared.web import challenge, endpoint, guards

Report = TypeVar("Report", NoShow, PostCall, NewClient)


def website(request: Request, *, trigger: str) -> Response:
    """Handle a website's form: verify, parse, enroll or store, answer 202. A GET is answered with a new challenge.

    Args:
        request: what was posted.
        trigger: the webhook's name; it selects the campaign.

    Raises:
        WebhookError: if the request is not proved, unreadable, invalid or too frequent.
    """
    if request.method == "GET":
        return new_challenge(request)
    data = endpoint.body(request)
    proved = guards.prove_website(request, data)
    now = None if proved else guards.limit_visits(request, "ip")
    form = endpoint.parse(request, data, (ProvedSignUp if proved else SignUp).posted)
    found = intake(request, data, now)
    if form.fax_number:  # only a robot fills in the hidden field, or a browser's autofill
        guards.trapped()
        return endpoint.answer(202, enrolling.thanks(form, trigger=trigger, intake=found).body)
    if now is not None:
        found = replace(found, visitor=guards.visitor(request), solved=_solved(form, now))
    return endpoint.answer(202, enrolling.sign_up(form, trigger=trigger, intake=found).body)


def _solved(form: SignUp, now: int) -> Challenge | None:
    """The challenge that the form's visitor solved, if any."""
    solved = challenge.verified(form.altcha, services.current_settings().challenge_key, now)
    return Challenge(id=solved.id, keep=solved.expires - now) if solved else None


def new_challenge(request: Request) -> Response:
    """Answer with a challenge that the form may bring, solved.

    Args:
        request: what was asked; nothing here proves it.

    Raises:
        WebhookError: 404 if there are no challenges here, 429 if this visitor asks too often.
    """
    settings = services.current_settings()
    if not settings.challenge_key:
        raise WebhookError(404, "there is no challenge here: post the form without one")
    return endpoint.answer(200, challenge.create(settings.challenge_key, guards.limit_visits(request, "challenge")))


def reported(request: Request, data: bytes, model: type[Report], *, trigger: str) -> Response:
    """Handle what the operator reports, once it is proved: parse, enroll, answer 202.

    Args:
        request: what was posted.
        data: its body.
        model: the kind of report.
        trigger: the webhook's name; it selects the campaign.

    Raises:
        WebhookError: if the request is unreadable or invalid.
    """
    form = endpoint.parse(request, data, model.model_validate)
    return endpoint.answer(202, enrolling.report(form, trigger=trigger, intake=intake(request, data)).body)


def intake(request: Request, data: bytes, now: int | None = None) -> Intake:
    """Where and when a request arrives.

    Args:
        request: what was posted; nothing here proves it.
        data: its body.
        now: the ledger's time, if already known.
    """
    ledger, settings = services.ledger(), services.current_settings()
    # Not urlsplit, which raises for some of what strangers send. Without the query, which may contain personal data.
    page = re.match(r"https?://[^\s?#]{1,290}", request.headers.get("Referer") or request.headers.get("Origin") or "")
    return Intake(
        ledger,
        services.catalog(),
        settings,
        now or ledger.now(),
        endpoint.request_id(request),
        key=endpoint.idempotency_key(request),
        body=ids.digest(data.decode("latin-1")),  # any bytes
        page=page[0] if page else None,
        network=guards.network(request),
    )
