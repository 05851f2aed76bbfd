"""Responses and refusals in Resend's form: https://resend.com/docs/api-reference/errors."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flask import Response
from werkzeug.exceptions import HTTPException

from local.sandbox.faults import Fault
from local.sandbox.refusal import Refusal

_NAMES = {
    401: "missing_api_key",
    403: "invalid_api_key",
    404: "not_found",
    405: "method_not_allowed",
    409: "concurrent_idempotent_requests",
    429: "rate_limit_exceeded",
    503: "service_unavailable",
}


def answer(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response.

    Args:
        text: the JSON.
        status: the HTTP status.
        headers: further headers.
    """
    return Response(text, status, headers, content_type="application/json; charset=utf-8")


def invalid(message: str) -> Refusal:
    """The refusal of an invalid field.

    Args:
        message: which field, and what is wrong with it.
    """
    return Refusal(422, "validation_error", message)


def missing(field: str) -> Refusal:
    """The refusal of an email without a required field.

    Args:
        field: the field's name.
    """
    return Refusal(
        422, "missing_required_field", f"Missing `{field}` field.", in_batch=f"The `{field}` field is missing."
    )


def refuse(refusal: Refusal) -> Response:
    """A refusal as Resend's error object."""
    body = {"statusCode": refusal.status, "message": refusal.message, "name": refusal.name}
    return answer(json.dumps(body), refusal.status, refusal.headers)


def _usual_name(status: int) -> str:
    return _NAMES.get(status, "application_error" if status >= 500 else "validation_error")


def refuse_by_fault(fault: Fault, _saved: Response | None) -> Response:
    """The refusal that a fault asks for; it says nothing about what was saved."""
    status = fault.answer_status
    name = fault.name or _usual_name(status)
    return refuse(Refusal(status, name, "A fault that was set in the sandbox.", fault.headers))


def refuse_http(error: HTTPException) -> Response:
    """The response to an unknown path, a wrong method, or an error in the sandbox itself."""
    status = error.code or 500
    messages = {404: "The requested endpoint does not exist.", 405: "Method is not allowed for the requested path."}
    message = messages.get(status, error.description or "Something went wrong.")
    return refuse(Refusal(status, _usual_name(status), message))
