"""What a webhook request of Resend carries: the event (https://resend.com/docs/webhooks/event-types) and its signature,
as Svix makes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from local.sandbox.emails import Email, rfc3339
from local.sandbox.mailboxes import address_in
from shared.core.errors import SettingsError


def event(email: Email, event_type: str, at: float) -> dict[str, Any]:
    """The event posted about an email. Tags are an object here, although they were sent as a list.

    Args:
        email: the email.
        event_type: such as `email.delivered`.
        at: when it happened, in seconds since 1970.
    """
    data: dict[str, Any] = {
        "created_at": datetime.fromtimestamp(email.received_at, UTC).isoformat(timespec="microseconds"),
        "email_id": email.id,
        "message_id": email.message_id,
        "from": email.body.get("from", ""),
        "to": email.mailboxes("to"),
        "subject": email.body.get("subject", ""),
    }
    if event_type == "email.bounced":
        address = address_in(email.mailboxes("to")[0])
        reply = f"smtp; 550 5.1.1 user unknown <{address}>"
        message = "The recipient's mail server refused the address for good."
        data["bounce"] = {"diagnosticCode": [reply], "message": message, "subType": "General", "type": "Permanent"}
    elif event_type == "email.suppressed":
        data["suppressed"] = {
            "message": "The address is on the account's suppression list.",
            "type": "OnAccountSuppressionList",
        }
    data["tags"] = {tag["name"]: tag["value"] for tag in email.body.get("tags") or []}
    return {"type": event_type, "created_at": rfc3339(at), "data": data}


def sign(secret: str, message_id: str, timestamp: int, text: str) -> dict[str, str]:
    """The Svix headers of a message.

    Args:
        secret: the `whsec_…` secret.
        message_id: the same when the message is retried.
        timestamp: seconds since 1970; changes each time.
        text: exactly what is posted.
    """
    signature = Webhook(secret).sign(message_id, datetime.fromtimestamp(timestamp, UTC), text)
    return {"svix-id": message_id, "svix-timestamp": str(timestamp), "svix-signature": signature}


def check_secret(secret: str) -> None:
    """Check that a secret can sign.

    Raises:
        SettingsError: if it is not a valid `whsec_…` secret.
    """
    try:
        Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        raise SettingsError(
            "RESEND_WEBHOOK_SECRET is not valid; write whsec_ and at least 24 random bytes in base64."
        ) from None
