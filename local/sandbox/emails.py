"""An accepted email and its outcome, decided by Resend's test addresses
(https://resend.com/docs/dashboard/emails/send-test-emails)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.sandbox.mailboxes import address_in, as_list

DELIVERY_SECONDS = 0.5
_OUTCOMES = {
    "bounced": ("email.sent", "email.bounced"),
    "complained": ("email.sent", "email.delivered", "email.complained"),
    "suppressed": ("email.suppressed",),
}


@dataclass(frozen=True)
class Email:
    """One email as the provider accepted it.

    Attributes:
        position: its place in the outbox, from 1.
        id: the UUID returned to the caller.
        received_at: seconds since 1970.
        idempotency_key: the request's key, if it had one; a batch's emails share theirs.
        body: the email as it was posted.
    """

    position: int
    id: str
    received_at: float
    idempotency_key: str | None
    body: dict[str, Any]

    def mailboxes(self, field: str) -> list[str]:
        """The addresses in `to`, `cc`, `bcc` or `reply_to`, always as a list."""
        return as_list(self.body.get(field))

    @property
    def message_id(self) -> str:
        """The Message-ID header."""
        return f"<{self.id}@sandbox.resend.dev>"

    @property
    def events(self) -> tuple[str, ...]:
        """The types of its webhook events in order; the last one is its outcome."""
        if self.body.get("scheduled_at"):
            return ("email.scheduled",)
        for recipient in self.mailboxes("to"):
            local_part, _, domain = (address_in(recipient) or "").lower().partition("@")
            outcome = _OUTCOMES.get(local_part.partition("+")[0])
            if domain == "resend.dev" and outcome:
                return outcome
        return ("email.sent", "email.delivered")

    def last_event(self, now: float) -> str:
        """Resend's `last_event`: sent at once, the outcome after `DELIVERY_SECONDS`.

        Args:
            now: seconds since 1970.
        """
        event = self.events[-1] if now - self.received_at >= DELIVERY_SECONDS else self.events[0]
        return event.removeprefix("email.")

    def as_listed(self, now: float) -> dict[str, Any]:
        """The email in a response to `GET /emails`.

        Args:
            now: seconds since 1970.
        """
        return {
            "id": self.id,
            "message_id": self.message_id,
            "to": self.mailboxes("to"),
            "from": self.body.get("from", ""),
            "created_at": f"{_utc(self.received_at):%Y-%m-%d %H:%M:%S.%f}+00",
            "subject": self.body.get("subject", ""),
            "bcc": self.mailboxes("bcc"),
            "cc": self.mailboxes("cc"),
            "reply_to": self.mailboxes("reply_to"),
            "last_event": self.last_event(now),
            "scheduled_at": self.body.get("scheduled_at"),
        }

    def as_object(self, now: float) -> dict[str, Any]:
        """The response to `GET /emails/{id}`.

        Args:
            now: seconds since 1970.
        """
        content = {"html": self.body.get("html"), "text": self.body.get("text"), "tags": self.body.get("tags") or []}
        return {"object": "email", **self.as_listed(now), **content}

    def as_outbox_entry(self) -> dict[str, Any]:
        """The email in the sandbox's own `/outbox.json`."""
        return {
            "id": self.id,
            "to": self.mailboxes("to"),
            "from": self.body.get("from", ""),
            "subject": self.body.get("subject", ""),
            "html": self.body.get("html"),
            "text": self.body.get("text"),
            "headers": self.body.get("headers") or {},
            "tags": self.body.get("tags") or [],
            "idempotency_key": self.idempotency_key,
            "received_at": rfc3339(self.received_at),
        }


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(seconds: float) -> str:
    """An instant as RFC 3339 in UTC with milliseconds.

    Args:
        seconds: since 1970.
    """
    return _utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
