"""The schemas of the OpenAPI document: our forms from the models that validate them, providers' events, responses."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.domain.forms import NewClient, NoShow, PostCall, SignUp

FIELDS = {
    "email": (
        "The person's email address, however it is written (`Ada <ada@example.org>`, capitals, a domain in Unicode or "
        "ASCII). Refused: a part before the @ that is not ASCII or longer than 64 characters, and several addresses."
    ),
    "name": "Full name.",
    "first_name": "Used in the emails' greeting.",
    "business_name": "The name of the business.",
    "timezone": "An IANA name, such as `America/Toronto`; an unknown one falls back to the time zone of your business.",
    "booking_url": "This person's own booking link; kept only if it leads to the page of `BOOKING_URL`.",
    "assessment_score": "0 to 100.",
    "red_systems": "How many of the eight systems are red, 0 to 8; two or more are CRITICAL.",
    "orange_systems": "How many are orange, 0 to 8; two or more are URGENT.",
    "yellow_systems": "How many are yellow, 0 to 8.",
    "green_systems": "How many are green, 0 to 8; the four colors are at most 8 together.",
    "consent": "Whether the person agreed to get emails. `true` undoes an unsubscribe, once it is proved or confirmed.",
    "consent_text": "The text that the person agreed to; stored with the time and the page.",
    "email_1_sent_at": (
        "When the website sent the first email; delays count from then. "
        "A date is its midnight; UTC if it has no zone. At most 30 days ago."
    ),
    "email_1_status": (
        "`sent`: the website has sent the first email. `failed`: Evergreen sends it; the website must not try again."
    ),
    "fax_number": "Leave it out. This field is hidden in the form; only bots fill it in.",
    "altcha": "A solved challenge, as ALTCHA's widget writes it; one that is not valid counts as none.",
    "starts_at": "When the missed call should have started.",
    "event_id": "Your own name for the missed call; the same name twice counts as one no-show.",
    "call_at": "When the call took place; delays count from then. At most 30 days ago.",
    "package": "What the client bought, for use in the emails.",
}
_CALCOM_EVENTS = (
    "What Cal.com posts (version 2021-10-20, no custom template). BOOKING_CREATED and BOOKING_RESCHEDULED set "
    "reminders and end nurture; BOOKING_CANCELLED, BOOKING_REJECTED and a BOOKING_REQUESTED that replaces a booking "
    "drop them; BOOKING_NO_SHOW_UPDATED starts the recovery, or ends it; PING and every other event are answered 200 "
    "and ignored. With seatsPerTimeSlot, each attendee counts; a cancellation with recurringEvent or cancelledDates "
    "ends several bookings."
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


def ref(name: str) -> dict[str, str]:
    """A reference to a schema of the document.

    Args:
        name: one of `schemas`.
    """
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> dict[str, Any]:
    """Every schema of the document, by name."""
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
    bodies: dict[str, Any] = made["$defs"]
    return bodies | {
        "CalcomEvent": _object(
            ["triggerEvent"], _CALCOM_EVENTS, triggerEvent=text, createdAt=text, payload={"type": "object"}
        ),
        "CalendlyEvent": _object(["event"], _CALENDLY_EVENTS, event=text, created_at=text, payload={"type": "object"}),
        "ResendEvent": _object(["type"], _RESEND_EVENTS, type=text, created_at=text, data={"type": "object"}),
        "Challenge": _object(
            ["parameters", "signature"],
            "Proof of work in ALTCHA's format: find the counter whose derived key begins with `keyPrefix`.",
            parameters=_object(
                ["algorithm", "cost", "data", "keyLength", "keyPrefix", "nonce", "salt"],
                algorithm={"const": "PBKDF2/SHA-256"},
                cost={"type": "integer"},
                data=_object(["expires"], expires={"type": "integer", "description": "Milliseconds since 1970 UTC."}),
                keyLength={"type": "integer"},
                keyPrefix=text,
                nonce=text,
                salt=text,
            ),
            signature=text,
        ),
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
