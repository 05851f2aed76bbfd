"""What sending asks of an email provider, and what it answers: the contract that a module such as `resend` fulfills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Accepted:
    """What the provider took: an id per email, and the requests per second that it says it allows."""

    ids: list[str]
    rate: float | None


@dataclass(frozen=True)
class Listed:
    """An email as a provider lists it, which is without its tags.

    Attributes:
        id: the provider's own.
        to: the addresses, in lower case.
        subject: as it arrived.
        at: when it was accepted, in milliseconds since 1970 UTC.
    """

    id: str
    to: tuple[str, ...]
    subject: str
    at: int


class Provider(Protocol):
    """An email provider, such as `integrations.resend.Resend`."""

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Send one email; raises SendError."""

    def send_batch(self, emails: list[dict[str, Any]], *, key: str) -> Accepted:
        """Send several in one request; raises SendError."""
