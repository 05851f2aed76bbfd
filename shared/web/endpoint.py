"""What every HTTP function shares: request id, body, parsing, and errors turned into responses."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Request, Response, jsonify
from gunicorn.http.errors import ParseException
from pydantic import BaseModel, ValidationError
from redis.exceptions import RedisError

from shared import services
from shared.core import json_body, log
from shared.core.errors import LedgerTooNew, WebhookError
from shared.integrations import payloads
from shared.ledger.redis_errors import explained
from shared.web import guards

Model = TypeVar("Model", bound=BaseModel)
Handler = Callable[[Request], Response]
REDIS_RETRY_AFTER = 5
_HEADERS = "Content-Type, Idempotency-Key, X-Request-Id"
_HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~-]+(?: ?, ?[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
_logger = log.logger("endpoint")


def answer(status: int, body: dict[str, object], *, retry_after: int | None = None) -> Response:
    """A JSON response.

    Args:
        status: the HTTP status.
        body: the content.
        retry_after: seconds after which the caller should retry.
    """
    response = jsonify(body)
    response.status_code = status
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def function(name: str, *, methods: tuple[str, ...] = ("POST",), cors: bool = False) -> Callable[[Handler], Handler]:
    """Make a handler a function: it gets a request id and a log line, and its errors become responses.

    Args:
        name: the function's name, for the log.
        methods: the allowed ones; others get 405.
        cors: whether browsers on the allowed origins may call it.
    """

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def handle(request: Request) -> Response:
            request_id = log.request_id(request.headers.get("X-Request-Id"))
            network = guards.network(request)
            log.begin(request_id=request_id, function=name, **({"network": network} if network else {}))
            request.environ["evergreen.request_id"] = request_id
            response = _respond(handler, request, methods, cors)
            response.headers["X-Request-Id"] = request_id
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Cache-Control"] = "no-store"
            if cors:
                _allow_origin(request, response, methods)
            (_logger.debug if response.status_code < 400 else _logger.warning)("answered", status=response.status_code)
            return response

        return handle

    return decorate


def _respond(handler: Handler, request: Request, methods: tuple[str, ...], cors: bool) -> Response:
    if cors and request.method == "OPTIONS":
        return Response(status=204)
    if request.method not in methods:
        response = answer(405, {"status": "error", "message": f"use {' or '.join(methods)}"})
        response.headers["Allow"] = ", ".join(methods)
        return response
    try:
        return handler(request)
    except WebhookError as error:
        body: dict[str, object] = {"status": "error", "message": error.message}
        if error.details is not None:
            body["detail"] = error.details
        return answer(error.status, body, retry_after=error.retry_after)
    except LedgerTooNew as error:
        _logger.error("ledger.too_new", why=str(error))
        return answer(503, {"status": "error", "message": "try again in a moment"}, retry_after=REDIS_RETRY_AFTER)
    except RedisError as error:
        _logger.error("redis.unavailable", why=explained(error))
        return answer(503, {"status": "error", "message": "try again in a moment"}, retry_after=REDIS_RETRY_AFTER)
    except Exception:  # the last catch before the framework, which would show the exception's text to the caller
        _logger.exception("function.crashed")
        return answer(500, {"status": "error", "message": "something went wrong on our side; our log has the details"})


def _allow_origin(request: Request, response: Response, methods: tuple[str, ...]) -> None:
    origin = request.headers.get("Origin")
    response.vary.update(("Origin", "Access-Control-Request-Headers"))
    if origin and origin in services.current_settings().cors_origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Methods"] = ", ".join((*methods, "OPTIONS"))
        # Any header is harmless here, and scripts on the page add theirs, such as `sentry-trace` and `traceparent`.
        asked = request.headers.get("Access-Control-Request-Headers", "")
        response.headers["Access-Control-Allow-Headers"] = asked if _HEADER_NAMES.fullmatch(asked) else _HEADERS
        response.headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
        response.headers["Access-Control-Max-Age"] = "600"


def request_id(request: Request) -> str:
    """The id that accompanies this request's emails to the provider."""
    return str(request.environ["evergreen.request_id"])


def body(request: Request) -> bytes:
    """The whole request body.

    Raises:
        WebhookError: 413 if it is larger than WEBHOOK_BODY_LIMIT, however it was sent; 400 if it is malformed.
    """
    limit = services.current_settings().webhook_body_limit
    # Not get_data(): behind a gateway that sends chunks, Flask's own limit would silently cut off the body.
    try:
        data = request.stream.read(limit + 1) if (request.content_length or 0) <= limit else b""
    except (OSError, ParseException):  # such as in what follows the last chunk
        raise WebhookError(400, "the body is malformed or ends too early") from None
    if len(data) > limit or (request.content_length or 0) > limit:
        raise WebhookError(413, f"the body is larger than {limit} bytes")
    return data


def parse(request: Request, data: bytes, read: Callable[[dict[str, Any]], Model]) -> Model:
    """Read a JSON body.

    Args:
        request: the request.
        data: its body.
        read: makes a model of the JSON object.

    Raises:
        WebhookError: 415 for another content type, 400 if it is not a JSON object, 422 with the invalid fields.
    """
    if request.mimetype != "application/json":
        raise WebhookError(415, "send JSON, with Content-Type: application/json")
    try:
        return read(json_body.read(data))
    except ValidationError as error:
        raise WebhookError(422, "the request is not valid", details=payloads.faults(error)) from None
    except ValueError as error:
        raise WebhookError(400, str(error)) from None


def idempotency_key(request: Request) -> str | None:
    """The caller's `Idempotency-Key`; raises WebhookError 400 unless it is 1 to 255 visible ASCII characters."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise WebhookError(400, "Idempotency-Key must be 1 to 255 visible ASCII characters")
    return key
