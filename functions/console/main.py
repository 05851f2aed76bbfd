"""console: the operator's pages, behind a password, and the JSON API under them, with the operator's bearer token."""

from flask import Request, Response

from shared import services
from shared.console import api
from shared.console.web import Console
from shared.web import endpoint, guards

SETTINGS = services.current_settings().require("redis_url", "operator_token")
services.catalog()
CONSOLE = Console(SETTINGS)


@endpoint.function("console", methods=("GET", "HEAD", "POST"))
def handle(request: Request) -> Response:
    """Programs show the token and get JSON; people have a session and get pages. Neither proof opens the other's door."""
    if "Authorization" in request.headers or request.path.startswith("/api/"):
        guards.require_bearer(request, SETTINGS.operator_token)
        return api.answer(request)
    return CONSOLE.answer(request)
