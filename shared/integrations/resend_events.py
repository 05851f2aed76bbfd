"""What Resend posts: its signature, and what became of an email or an address, as a DeliveryEvent.

Sources: https://resend.com/docs/webhooks/verify-webhooks-requests and
https://docs.svix.com/receiving/verifying-payloads/how-manual (signature; Svix's scheme is that of Standard Webhooks).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.core import json_body, proofs
from shared.core.errors import WebhookError, masked
from shared.domain.addresses import canonical
from shared.integrations.payloads import milliseconds
from shared.integrations.resend_event_payloads import Data, Post, Trouble

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


def verify(body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...]) -> str:
    """Check that Resend sent a body in the last five minutes.

    Args:
        body: the raw body.
        headers: the request's; only `svix-id`, `svix-timestamp` and `svix-signature` count, in upper or lower case.
        secrets: RESEND_WEBHOOK_SECRET, and the one that it replaces: `whsec_` followed by the key in base64.

    Returns:
        The message's id, the same for each delivery of it.

    Raises:
        WebhookError: 401.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    given = {name: lowered.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature")}
    standard = {f"webhook-{name}": value for name, value in given.items()}
    if not proofs.is_signed(body, standard, secrets):
        raise WebhookError(
            401,
            "the svix-* headers are missing, wrong or older than five minutes: RESEND_WEBHOOK_SECRET must be the "
            "signing secret of this webhook in Resend, and this machine's clock must be right",
        )
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
        post = Post.model_validate(json_body.read(body))
    except ValueError:
        raise WebhookError(400, "the body is not a JSON object with a type") from None
    data = post.data or Data()
    what = _what(post.type, data)
    if what is None:
        return None
    tag = (data.tags or {}).get(TAG)
    return DeliveryEvent(
        key=key,
        what=what,
        at=milliseconds(post.created_at) if post.created_at else None,
        address=_address(what, data),
        email_id=tag if isinstance(tag, str) else None,
        provider_id=data.email_id,
        sent=milliseconds(data.created_at) if what != "unsubscribed" and data.created_at else None,
        reason=_reason(what, data),
    )


def _what(type: str, data: Data) -> What | None:
    what = _WHATS.get(type)
    if what == "unsubscribed" and not data.unsubscribed:
        return None
    if what == "bounced" and not (data.bounce and data.bounce.type == PERMANENT):
        return "bounced-for-now"
    return what


def _address(what: What, data: Data) -> str | None:
    recipients = [data.email] if what == "unsubscribed" and data.email else data.to or []
    return canonical(recipients[0]) or None if len(recipients) == 1 else None


def _reason(what: What, data: Data) -> str | None:
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


def _words(lead: str, trouble: Trouble | None) -> str:
    said = [masked(part) for part in (trouble.sub_type, trouble.reason, trouble.message) if part] if trouble else []
    return ": ".join([lead, *said])
