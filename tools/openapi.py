"""`make openapi`: the public webhooks as an OpenAPI 3.1 document, generated from the models that validate requests."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.domain.forms import NewClient, NoShow, PostCall, SignUp

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "openapi.json"
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
FIELDS = {
    "email": "The person's email address; compared trimmed and in lower case.",
    "name": "Full name; a name with a link is ignored.",
    "first_name": "Used in the emails' greeting.",
    "business_name": "The name of the business.",
    "timezone": "An IANA name, such as `America/Toronto`; an unknown one falls back to the time zone of your business.",
    "booking_url": "This person's own booking link; kept only if it leads to the page of `BOOKING_URL`.",
    "assessment_score": "0 to 100.",
    "red_systems": "How many of the eight systems are red, 0 to 8; two or more are CRITICAL.",
    "orange_systems": "How many are orange, 0 to 8; two or more are URGENT.",
    "yellow_systems": "How many are yellow, 0 to 8.",
    "green_systems": "How many are green, 0 to 8; the four colors are at most 8 together.",
    "consent": "Whether the person agreed to get emails; only `true` undoes an earlier unsubscribe.",
    "consent_text": "The text that the person agreed to; stored with the time and the page.",
    "email_1_sent_at": (
        "When the website sent the first email; delays count from then. At most 30 days ago; UTC if it has no zone."
    ),
    "email_1_status": (
        "`sent`: the website has sent the first email. `failed`: Evergreen sends it; the website must not try again."
    ),
    "fax_number": "Leave it out. This field is hidden in the form; only bots fill it in.",
    "starts_at": "When the missed call should have started.",
    "event_id": "Your own name for the missed call; the same name twice counts as one no-show.",
    "call_at": "When the call took place; delays count from then. At most 30 days ago.",
    "package": "What the client bought, for use in the emails.",
}
_SCHEMES = {
    "operatorToken": {"type": "http", "scheme": "bearer", "description": "OPERATOR_TOKEN."},
    "serverSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": (
            "Standard Webhooks: `v1,` and the base64 HMAC-SHA256 of `webhook-id.webhook-timestamp.body`, with the "
            "key in WEBSITE_WEBHOOK_SECRET; the headers `webhook-id` and `webhook-timestamp` (Unix seconds, five "
            "minutes) go with it. Forms need it if that secret is set."
        ),
    },
    "calcomSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Cal-Signature-256",
        "description": "Hex HMAC-SHA256 of the body with CALCOM_WEBHOOK_SECRET.",
    },
    "calendlySignature": {
        "type": "apiKey",
        "in": "header",
        "name": "Calendly-Webhook-Signature",
        "description": (
            "`t=<Unix seconds>,v1=<hex HMAC-SHA256 of t, a dot and the body>` with CALENDLY_SIGNING_KEY; good for 3 "
            "minutes."
        ),
    },
    "svixSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "svix-signature",
        "description": (
            "As a Standard Webhooks signature, in the headers `svix-id`, `svix-timestamp` and `svix-signature`, with "
            "RESEND_WEBHOOK_SECRET."
        ),
    },
}
_ERRORS = {
    400: "The body is not a JSON object, or the Idempotency-Key is malformed.",
    401: "The proof is missing or wrong.",
    413: "The body is over 64 KiB.",
    415: "The content type is not application/json.",
    422: "Fields are wrong; `detail` lists each.",
    429: "Too many requests from this visitor or for this address.",
    503: "Redis is unavailable; nothing was stored.",
}
_CALCOM_EVENTS = (
    "What Cal.com posts (version 2021-10-20, no custom template). BOOKING_CREATED and BOOKING_RESCHEDULED set "
    "reminders and end nurture; BOOKING_CANCELLED, BOOKING_REJECTED and a BOOKING_REQUESTED that replaces a booking "
    "drop them; BOOKING_NO_SHOW_UPDATED starts the recovery, or ends it; PING and every other event are answered 200 "
    "and ignored."
)
_RESEND_EVENTS = (
    "What Resend posts. A permanent email.bounced, email.complained, email.suppressed and a contact.updated that "
    "unsubscribes stop email to the address; other reports about an email are stored with it; every other event is "
    "answered 200 and ignored."
)
_CALENDLY_EVENTS = (
    "What Calendly posts. invitee_no_show.created starts the recovery, invitee_no_show.deleted ends it; "
    "invitee.created ends nurture; invitee.canceled drops what depends on the meeting; every other event is answered "
    "200 and ignored."
)


@click.command("openapi")
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 if the file is out of date.")
def write_openapi(check: bool) -> None:
    """Write docs/openapi.json: every public webhook, for other programs to read."""
    text = rendered()
    if not check:
        FILE.write_text(text, encoding="utf-8")
        click.echo(f"wrote {FILE.relative_to(ROOT)}")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        click.echo(f"{FILE.relative_to(ROOT)} is out of date; run: make openapi", err=True)
        sys.exit(1)


def rendered() -> str:
    """The document as stored in its file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    paths = {f"/webhook/{name}": {"post": operation} for name, operation in _operations().items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Evergreen's webhooks",
            "version": project["version"],
            "description": "See docs/webhooks.md.",
        },
        "servers": [{"url": "{public_url}", "variables": {"public_url": {"default": "http://127.0.0.1:8080"}}}],
        "paths": paths,
        "components": {"securitySchemes": _SCHEMES, "schemas": _schemas()},
    }


def _operations() -> dict[str, dict[str, Any]]:
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
            "Cal.com reports a meeting.",
            ["CalcomEvent"],
            {200: "Outcome"},
            [400, 401, 413, 422, 503],
            ["calcomSignature"],
        ),
        "calendly-noshow": _operation(
            "calendly-noshow",
            "Calendly reports a meeting (answered 200); or the operator a missed call, as simple JSON with the token "
            "(answered 202).",
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


def _operation(
    name: str, text: str, bodies: list[str], answers: dict[int, str], errors: list[int], proofs: list[str | None]
) -> dict[str, Any]:
    schemas = [_ref(body) for body in bodies]
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
    return {"description": text, "headers": headers, "content": {"application/json": {"schema": _ref(schema)}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Any]:
    models: tuple[type[BaseModel], ...] = (SignUp, NoShow, PostCall, NewClient)
    _, made = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    for schema in made["$defs"].values():
        schema["description"] = schema["description"].split("\n")[0]
        for name, described in schema["properties"].items():
            described["description"] = FIELDS[name]
    text = {"type": "string"}
    fault = _object(
        ["loc", "msg"], loc={"type": "array", "items": {"type": ["string", "integer"]}}, msg=text, type=text
    )
    schemas: dict[str, Any] = made["$defs"]
    return schemas | {
        "CalcomEvent": _object(
            ["triggerEvent"], _CALCOM_EVENTS, triggerEvent=text, createdAt=text, payload={"type": "object"}
        ),
        "CalendlyEvent": _object(["event"], _CALENDLY_EVENTS, event=text, created_at=text, payload={"type": "object"}),
        "ResendEvent": _object(["type"], _RESEND_EVENTS, type=text, created_at=text, data={"type": "object"}),
        "Accepted": _object(
            ["status", "message", "email", "campaign"],
            "The same response whether or not the address was known.",
            status={"const": "accepted"},
            message=text,
            email=text,
            campaign={"type": ["string", "null"]},
        ),
        "Outcome": _object(
            ["status", "outcome"],
            status={"const": "accepted"},
            outcome={
                "type": "string",
                "examples": ["enrolled", "exists", "tracked", "cancelled", "ignored", "duplicate"],
            },
        ),
        "Refusal": _object(
            ["status", "message"], status={"const": "error"}, message=text, detail={"type": "array", "items": fault}
        ),
    }


def _object(required: list[str], description: str = "", /, **properties: Any) -> dict[str, Any]:
    described = {"description": description} if description else {}
    return {"type": "object", **described, "required": required, "properties": properties}


if __name__ == "__main__":
    write_openapi()
