"""postcall-maybe: the operator reports a call that ended with a maybe; the person gets the follow-up."""

from flask import Request, Response

from shared import services
from shared.domain.forms import PostCall
from shared.web import endpoint, forms, guards

services.current_settings().require("redis_url", "operator_token")
services.catalog()


@endpoint.function("postcall-maybe")
def handle(request: Request) -> Response:
    """Verify, parse, enroll, answer 202."""
    data = endpoint.body(request)
    guards.prove_operator(request, data)
    return forms.reported(request, data, PostCall, trigger="postcall-maybe")
