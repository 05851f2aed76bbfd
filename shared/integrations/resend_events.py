"""What Resend posts: its signature, and what became of an email or an address, as a DeliveryEvent.

Sources: https://resend.com/docs/dashboard/webhooks/event-types (bodies),
https://resend.com/docs/webhooks/verify-webhooks-requests and
https://docs.svix.com/receiving/verifying-payloads/how-manual (signature; Svix's scheme is that of Standard Webhooks).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from standardwebhooks import Webhook, WebhookVerificationError

from shared.core.errors import WebhookError, masked
from shared.domain.enrollments import normalized
from shared.domain.forms import Instant
from shared.integrations.payloads import Loose, milliseconds

TAG = "email_id"  # ours, on each email that we send
PERMANENT = "Permanent"

What = Literal[
    "accepted",
    "delivered",
    "opened",
    "clicked",
    "delayed",
    "bounced",
    "bounced-for-now",
    "complained",
    "suppressed",
    "failed",
    "unsubscribed",
]
_WHATS: Mapping[str, What] = {
    "email.sent": "accepted",
    "email.delivered": "delivered",
    "email.opened": "opened",
    "email.clicked": "clicked",
    "email.delivery_delayed": "delayed",
    "email.bounced": "bounced",
    "email.complained": "complained",
    "email.suppressed": "suppressed",
    "email.failed": "failed",
    "contact.updated": "unsubscribed",
}


@dataclass(frozen=True)
class DeliveryEvent:
    """What Resend reports about an email or an address. Instants are milliseconds since 1970 UTC.

    Attributes:
        key: the same for each delivery of the same event.
        what: `bounced` is permanent, `bounced-for-now` is not; `unsubscribed` is about an address, the others about an
            email.
        at: when it happened.
        address: the recipient it is about; None if Resend does not say which of several.
        email_id: our own id for the email, if it has one.
        provider_id: Resend's id for it.
        sent: when Resend accepted the email.
        reason: what went wrong, without an address.
    """

    key: str
    what: What
    at: int | None = None
    address: str | None = None
    email_id: str | None = None
    provider_id: str | None = None
    sent: int | None = None
    reason: str | None = None


def _as_object(value: Any) -> Any:
    """Tags come as an object, or as the list that was sent."""
    if not isinstance(value, list):
        return value
    return {
        tag["name"]: tag.get("value") for tag in value if isinstance(tag, dict) and isinstance(tag.get("name"), str)
    }


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Trouble(_Part):
    """Why an email did not arrive: the fields of `bounce`, `failed` and `suppressed`."""

    type: Loose[str] = None
    sub_type: Loose[str] = Field(default=None, alias="subType")
    message: Loose[str] = None
    reason: Loose[str] = None


class _Data(_Part):
    created_at: Loose[Instant] = None
    email_id: Loose[Id] = None
    to: Loose[Annotated[list[str], BeforeValidator(_as_list)]] = None
    email: Loose[str] = None
    unsubscribed: Loose[bool] = None
    tags: Loose[Annotated[dict[str, Any], BeforeValidator(_as_object)]] = None
    bounce: Loose[_Trouble] = None
    failed: Loose[_Trouble] = None
    suppressed: Loose[_Trouble] = None


class _Post(_Part):
    type: str
    created_at: Loose[Instant] = None
    data: Loose[_Data] = None


def verify(body: bytes, headers: Mapping[str, str], secret: str) -> str:
    """Check that Resend sent a body in the last five minutes.

    Args:
        body: the raw body.
        headers: the request's; only `svix-id`, `svix-timestamp` and `svix-signature` count, in upper or lower case.
        secret: RESEND_WEBHOOK_SECRET, `whsec_` followed by the key in base64.

    Returns:
        The message's id, the same for each delivery of it.

    Raises:
        WebhookError: 401.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    given = {name: lowered.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature")}
    try:
        Webhook(secret).verify(body, {f"webhook-{name}": value for name, value in given.items()}, json_parse=False)
    except (
        WebhookVerificationError,
        ValueError,
    ):  # malformed headers and bodies raise ValueError (binascii's and unicode's too)
        raise WebhookError(
            401,
            "the svix-* headers are missing, wrong or older than five minutes: RESEND_WEBHOOK_SECRET must be the "
            "signing secret of this webhook in Resend, and this machine's clock must be right",
        ) from None
    return given["id"]


def event(body: bytes, key: str) -> DeliveryEvent | None:
    """Read what Resend reports. A value that does not fit counts as not given; an ignored event is None.

    An event for an email to several recipients names all of them and not the one it is about, so it is about no
    address. Our emails have one recipient each.

    Args:
        body: the raw body, already verified.
        key: the message's id.

    Raises:
        WebhookError: 400 if the body is not a JSON object with a type.
    """
    try:
        post = _Post.model_validate(json.loads(body))
    except (ValueError, RecursionError):
        raise WebhookError(400, "the body is not a JSON object with a type") from None
    what = _WHATS.get(post.type)
    data = post.data or _Data()
    if what is None or (what == "unsubscribed" and not data.unsubscribed):
        return None
    if what == "bounced" and not (data.bounce and data.bounce.type == PERMANENT):
        what = "bounced-for-now"
    tag = (data.tags or {}).get(TAG)
    return DeliveryEvent(
        key=key,
        what=what,
        at=milliseconds(post.created_at) if post.created_at else None,
        address=_address([data.email] if what == "unsubscribed" and data.email else data.to or []),
        email_id=tag if isinstance(tag, str) else None,
        provider_id=data.email_id,
        sent=milliseconds(data.created_at) if what != "unsubscribed" and data.created_at else None,
        reason=_reason(what, data),
    )


def _address(recipients: list[str]) -> str | None:
    address = normalized(parseaddr(recipients[0])[1]) if len(recipients) == 1 else ""
    return address if "@" in address else None


def _reason(what: What, data: _Data) -> str | None:
    match what:
        case "delayed":
            return "delivery is delayed; Resend keeps trying"
        case "complained":
            return "reported as spam"
        case "bounced" | "bounced-for-now":
            return _words("bounced" if what == "bounced" else "bounced for now", data.bounce)
        case "failed":
            return _words("Resend gave up", data.failed)
        case "suppressed":
            return _words("on Resend's suppression list", data.suppressed)
    return None


def _words(lead: str, trouble: _Trouble | None) -> str:
    said = [masked(part) for part in (trouble.sub_type, trouble.reason, trouble.message) if part] if trouble else []
    return ": ".join([lead, *said])
