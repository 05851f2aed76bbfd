"""Responses and refusals in Notion's form: https://developers.notion.com/reference/status-codes."""

from __future__ import annotations

import json
import uuid
from typing import Any

from flask import Response, request
from werkzeug.exceptions import HTTPException

from local.sandbox.faults import Fault
from local.sandbox.refusal import Refusal

_CODES = {
    400: "validation_error",
    401: "unauthorized",
    403: "restricted_resource",
    404: "object_not_found",
    409: "conflict_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
    529: "service_overload",
}
_MESSAGES = {
    "unauthorized": "API token is invalid.",
    "conflict_error": "Conflict occurred while saving. Please try again.",
    "internal_server_error": "Unexpected error occurred.",
    "service_unavailable": "Notion is unavailable, please try again later.",
}
_GUIDANCE = ["The write was saved. Do not repeat it.", "Read the object to see what was saved."]


def answer(body: dict[str, Any], status: int = 200) -> Response:
    """A JSON response with its request id.

    Args:
        body: the object.
        status: the HTTP status.
    """
    request_id = str(uuid.uuid4())
    text = json.dumps(body | {"request_id": request_id}, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, {"x-notion-request-id": request_id}, content_type="application/json; charset=utf-8")


def refuse(refusal: Refusal) -> Response:
    """A refusal as Notion's error object."""
    body = {"object": "error", "status": refusal.status, "code": refusal.name, "message": refusal.message}
    response = answer(body | ({"additional_data": refusal.additional} if refusal.additional else {}), refusal.status)
    response.headers.update(refusal.headers)
    return response


def refuse_http(error: HTTPException) -> Response:
    """The response to an unknown path, a wrong method, or an error in the sandbox itself."""
    if error.code in (404, 405):
        return refuse(Refusal(400, "invalid_request_url", "Invalid request URL."))
    return refuse(Refusal(500, "internal_server_error", _MESSAGES["internal_server_error"]))


def rate_limited(retry_after: str, reason: str = "public_api_request_rate_limit") -> Refusal:
    """The refusal of one request too many.

    Args:
        retry_after: seconds, for the header.
        reason: one of Notion's rate limit reasons.
    """
    additional = {"retry_after": json.loads(retry_after), "rate_limit_reason": reason}
    message = "You have been rate limited. Please try again in a few minutes."
    return Refusal(429, "rate_limited", message, {"retry-after": retry_after}, additional=additional)


def refuse_by_fault(fault: Fault, saved: Response | None) -> Response:
    """The refusal that a fault asks for.

    Args:
        fault: the fault.
        saved: the withheld response, if the request was accepted.
    """
    status = fault.answer_status
    if status == 429:
        usual = "public_api_space_request_rate_limit" if fault.kind == "quota" else "public_api_request_rate_limit"
        return refuse(rate_limited(fault.headers["retry-after"], fault.name or usual))
    code = fault.name or _CODES.get(status, "internal_server_error" if status >= 500 else "validation_error")
    message = _MESSAGES.get(code, "A fault that was set in the sandbox.")
    return refuse(Refusal(status, code, message, fault.headers, additional=_what_was_saved(saved) if saved else None))


def _what_was_saved(saved: Response) -> dict[str, Any]:
    """Notion's guidance with a 503 for a saved write. An update has no id there: the caller knows it."""
    body = json.loads(saved.get_data())
    if body["object"] == "list":
        return {"retry_guidance": _GUIDANCE, "committed_child_ids": [block["id"] for block in body["results"]]}
    return {"retry_guidance": _GUIDANCE} | ({"committed_resource_id": body["id"]} if request.method == "POST" else {})
