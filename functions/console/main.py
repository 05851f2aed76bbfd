"""console: the operator's pages, behind a password, and the JSON API, with the operator's bearer token."""

from io import BytesIO
from typing import cast

from flask import Request, Response

from shared import services
from shared.console.app import create_app
from shared.web import endpoint

SETTINGS = services.current_settings().require("redis_url", "operator_token")
services.catalog()
APP = create_app(SETTINGS)


@endpoint.function("console", methods=("GET", "HEAD", "POST"))
def handle(request: Request) -> Response:
    """Let the console's app respond; its errors for programs come back here."""
    data = endpoint.body(request)
    environ = request.environ | {"wsgi.input": BytesIO(data), "CONTENT_LENGTH": str(len(data))}
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return cast(Response, Response.from_app(APP, environ))  # typed as its base class
