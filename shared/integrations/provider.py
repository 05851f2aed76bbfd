"""The contract between sending and an email provider, which a module such as `resend` fulfills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

CLOCK_SHARE = 0.2  # the share of a request's timeout that asking the provider for its time may take


@dataclass(frozen=True)
class Accepted:
    """What the provider accepted.

    Attributes:
        ids: the provider's ids, one for each email.
        rate: the requests per second that it says it allows.
        date: the time by its clock, in milliseconds since 1970 UTC, if it said so.
    """

    ids: list[str]
    rate: float | None
    date: int | None = None


@dataclass(frozen=True)
class Listed:
    """An email as a provider lists it, without its tags.

    Attributes:
        id: the provider's id.
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

    def time(self) -> int | None:
        """The time by the provider's clock, in milliseconds since 1970 UTC; None if it does not say."""
