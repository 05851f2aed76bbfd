"""console: the operator's JSON API, with the operator's bearer token."""

from flask import Request, Response

from shared import console_api, endpoint, services

SETTINGS = services.current_settings().require("redis_url", "operator_token")
services.catalog()


@endpoint.function("console", methods=("GET", "POST"))
def handle(request: Request) -> Response:
    """Prove, and do what the path says."""
    endpoint.require_bearer(request, SETTINGS.operator_token)
    return console_api.answer(request)
