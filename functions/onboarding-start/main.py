"""onboarding-start: the operator reports a new client, who gets the welcome and no more nurturing."""

from flask import Request, Response

from shared import services
from shared.domain.forms import NewClient
from shared.web import endpoint, forms, guards

services.current_settings().require("redis_url", "operator_token")
services.catalog()


@endpoint.function("onboarding-start")
def handle(request: Request) -> Response:
    """Verify, parse, enroll, answer 202."""
    data = endpoint.body(request)
    guards.prove_operator(request, data)
    return forms.reported(request, data, NewClient, trigger="onboarding-start")
