"""Forms: what the webhooks share that take a person's details, from a website's visitors or from the operator."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Request, Response

from shared import endpoint, enrolling, services
from shared.enrolling import Answer, Intake
from shared.models import NewClient, NoShow, PostCall, SignUp

Handler = Callable[[Request], Response]


def website(name: str) -> Handler:
    """The handler of a website's form: verify, parse, enroll or remember, answer 202.

    Args:
        name: the webhook's name, which is the trigger of its campaign.
    """
    services.current_settings().require("redis_url")
    services.catalog()

    @endpoint.function(name, cors=True)
    def handle(request: Request) -> Response:
        data = endpoint.body(request)
        proved = endpoint.prove_or_limit(request, data)
        form = endpoint.parse(request, data, SignUp)
        if form.fax_number:  # only a robot fills the field that nobody sees
            return endpoint.answer(202, Answer(form.email, None).body)
        if not proved:
            endpoint.limit_rate("address", form.email, services.current_settings().webhook_rate_per_address)
        return endpoint.answer(202, enrolling.sign_up(form, trigger=name, intake=intake(request)).body)

    return handle


def operator(name: str, model: type[NoShow | PostCall | NewClient]) -> Handler:
    """The handler of what the operator reports, with their token or a server's signature: verify, parse, enroll, answer 202.

    Args:
        name: the webhook's name, which is the trigger of its campaign.
        model: what is reported.
    """
    services.current_settings().require("redis_url", "operator_token")
    services.catalog()

    @endpoint.function(name)
    def handle(request: Request) -> Response:
        data = endpoint.body(request)
        endpoint.prove_operator(request, data)
        return reported(request, data, name, model)

    return handle


def reported(request: Request, data: bytes, trigger: str, model: type[NoShow | PostCall | NewClient]) -> Response:
    """Take what the operator has reported, once it is proved."""
    form = endpoint.parse(request, data, model)
    return endpoint.answer(202, enrolling.report(form, trigger=trigger, intake=intake(request)).body)


def intake(request: Request) -> Intake:
    """Where and when a request comes in."""
    ledger = services.ledger()
    page = urlsplit(request.headers.get("Referer") or request.headers.get("Origin") or "")
    return Intake(
        ledger,
        services.catalog(),
        services.current_settings(),
        ledger.now(),
        endpoint.request_id(request),
        key=endpoint.idempotency_key(request),
        page=f"{page.scheme}://{page.netloc}{page.path}"[:300] if page.scheme in ("http", "https") else None,
    )
