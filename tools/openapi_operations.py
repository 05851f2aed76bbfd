"""The operations of the OpenAPI document: what each public webhook takes, what proves the caller, what it answers."""

from __future__ import annotations

from typing import Any

from shared.domain.forms import NewClient, PostCall
from tools.openapi_schemas import ref

FORMS = {
    "signup": "The website's newsletter form. It starts no campaign in this release.",
    "assessment": "The website's assessment. With any score it enrolls in the campaign of this trigger (`busos`).",
    "christmas-signup": "The website's Christmas form. With any score it enrolls in `christmas`.",
    "christmas-assessment": (
        "The website's Christmas assessment. It enrolls in `five-day`, whose first email the website sends."
    ),
}
REPORTS = {
    "postcall-maybe": (PostCall, "A call ended with a maybe. It enrolls in `postcall-maybe`."),
    "onboarding-start": (
        NewClient,
        "A person has become a client. It enrolls in `onboarding` and ends the campaigns that list `client`.",
    ),
}
_ERRORS = {
    400: "The body is not a JSON object in UTF-8, is malformed or ends too early; or the Idempotency-Key is malformed.",
    401: "The proof is missing or wrong.",
    413: "The body is over 64 KiB.",
    415: "The content type is not application/json.",
    422: "Fields are wrong; `detail` lists each.",
    429: "Too many requests from this visitor or for this address.",
    503: "Redis is unavailable; nothing was stored.",
}


def operations() -> dict[str, dict[str, Any]]:
    """The operation of each public webhook, by the webhook's name."""
    forms = {
        name: _operation(
            name, text, ["SignUp"], {202: "Accepted"}, [400, 401, 413, 415, 422, 429, 503], [None, "serverSignature"]
        )
        for name, text in FORMS.items()
    }
    reports = {
        name: _operation(
            name,
            text,
            [model.__name__],
            {202: "Accepted"},
            [400, 401, 413, 415, 422, 503],
            ["operatorToken", "serverSignature"],
        )
        for name, (model, text) in REPORTS.items()
    }
    providers = {
        "calcom-booking": _operation(
            "calcom-booking",
            "Cal.com reports a meeting. Everything that it signed is answered 200.",
            ["CalcomEvent"],
            {200: "Outcome"},
            [401, 413, 503],
            ["calcomSignature"],
        ),
        "calendly-noshow": _operation(
            "calendly-noshow",
            "Calendly reports a meeting (everything that it signed is answered 200); or the operator a missed call, as "
            "simple JSON with the token (answered 202).",
            ["CalendlyEvent", "NoShow"],
            {200: "Outcome", 202: "Accepted"},
            [400, 401, 413, 415, 422, 503],
            ["calendlySignature", "operatorToken"],
        ),
        "resend-events": _operation(
            "resend-events",
            "Resend reports what happened to an email.",
            ["ResendEvent"],
            {200: "Outcome"},
            [400, 401, 413, 422, 503],
            ["svixSignature"],
        ),
    }
    return forms | reports | providers


def challenge(name: str) -> dict[str, Any]:
    """The operation that answers with a form's challenge.

    Args:
        name: one of FORMS.
    """
    answers = {
        "200": _answer("A new challenge, good for 20 minutes and for one form.", "Challenge"),
        "404": _answer("There are no challenges here: CHALLENGE_KEY is not set.", "Refusal"),
        **{str(status): _answer(_ERRORS[status], "Refusal", waits=True) for status in (429, 503)},
    }
    return {
        "operationId": f"{name}-challenge",
        "summary": "A challenge that the form may bring, solved.",
        "security": [{}],
        "responses": answers,
    }


def _operation(
    name: str, text: str, bodies: list[str], answers: dict[int, str], errors: list[int], proofs: list[str | None]
) -> dict[str, Any]:
    schemas = [ref(body) for body in bodies]
    good = {
        str(status): _answer("Understood." if schema == "Outcome" else "Accepted.", schema)
        for status, schema in answers.items()
    }
    parameters = [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A repeat of the key within 24 hours gets the first response and has no further effect.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        }
    ]
    return {
        "operationId": name,
        "summary": text,
        "security": [{proof: []} if proof else {} for proof in proofs],
        **({"parameters": parameters} if "Accepted" in answers.values() else {}),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}},
        },
        "responses": good
        | {str(status): _answer(_ERRORS[status], "Refusal", waits=status in (429, 503)) for status in errors},
    }


def _answer(text: str, schema: str, *, waits: bool = False) -> dict[str, Any]:
    headers: dict[str, Any] = {"X-Request-Id": {"schema": {"type": "string"}, "required": True}}
    if waits:
        headers["Retry-After"] = {
            "schema": {"type": "integer", "minimum": 1},
            "required": True,
            "description": "Seconds.",
        }
    return {"description": text, "headers": headers, "content": {"application/json": {"schema": ref(schema)}}}
