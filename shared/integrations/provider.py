"""The contract between sending and an email provider, which a module such as `resend` fulfills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

CLOCK_SHARE = 0.2  # the share of a request's timeout that asking the provider for its time may take


@dataclass(frozen=True)
class NotAccepted:
    """One email of a batch whose others were accepted.

    Attributes:
        reason: a short sentence without addresses.
        rejected: whether the address is the reason.
    """

    reason: str
    rejected: bool


@dataclass(frozen=True)
class Accepted:
    """What the provider accepted.

    Attributes:
        ids: the provider's ids, one for each email; empty for one that was not accepted.
        rate: the requests per second that it says it allows.
        date: the time by its clock, in milliseconds since 1970 UTC, if it said so.
        others: the emails of a batch that were definitely not accepted, by their position; fewer than all.
    """

    ids: list[str]
    rate: float | None
    date: int | None = None
    others: Mapping[int, NotAccepted] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """An email as a provider lists it, without its tags.

    Attributes:
        id: the provider's id.
        to: the addresses, in canonical form.
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

    def send_batch(self, emails: list[dict[str, Any]], *, key: str, permissive: bool) -> Accepted:
        """Send several in one request; raises SendError.

        `permissive`: an email that is wrong stops none of the others."""

    def time(self) -> int | None:
        """The time by the provider's clock, in milliseconds since 1970 UTC; None if it does not say."""
