"""What the ledger answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.enrollments import Contact
from shared.ledger import ids


@dataclass(frozen=True)
class Claimed:
    """What a claim gave us to send.

    Attributes:
        wait: milliseconds to wait for our turn at the provider.
        turn: the instant of that turn, in milliseconds since 1970 UTC by the ledger's clock.
        items: the emails, the one asked for first (in a repeated batch: the batch's own order).
        request: the id of the request that was posted before and must be repeated as it was; empty for a new one.
        body: that request, as JSON.
        ask_time: whether the provider is to be asked for its time before this is posted.
    """

    wait: int
    turn: int
    items: list[Item]
    request: str
    body: str
    ask_time: bool = False


@dataclass(frozen=True)
class Leave:
    """When a request may leave.

    Attributes:
        now: the instant of this answer, in milliseconds since 1970 UTC.
        wait: milliseconds from then until its turn.
        again: whether it must be asked again: at a later turn than the one that was asked for, or without some of its emails.
        without: the ids of those, which may not go any more.
    """

    now: int
    wait: int
    again: bool
    without: frozenset[str] = frozenset()

    @property
    def turn(self) -> int:
        """The instant of its turn."""
        return self.now + self.wait


@dataclass(frozen=True)
class Item:
    """One claimed email: its enrollment and step, what is known of the person, and what the webhook said of the occasion."""

    enrollment: str
    step: int
    slug: str
    request_id: str
    contact: Contact
    values: Mapping[str, str]
    retries: int = 0

    @property
    def id(self) -> str:
        """The email's id."""
        return ids.email_id(self.enrollment, self.step)

    @property
    def request(self) -> str:
        """The id of a request for it alone, also its idempotency key: another one after each retry by a person."""
        return f"{self.id}-r{self.retries}" if self.retries else self.id


@dataclass(frozen=True)
class Refused:
    """Why a claim gave us nothing (see claim.lua); until when; and the reason."""

    what: str
    until: int | None
    why: str


@dataclass(frozen=True)
class Settled:
    """What became of a step: its state, its next wake-up if it has one, the attempts made, and why it is not sent."""

    id: str
    state: str
    next: int | None
    attempts: int
    why: str = ""


@dataclass(frozen=True)
class Peek:
    """A step's state, the instant before which it must not be looked at, why it ended so, the request that began it all, and the time."""

    state: str | None
    next: int | None
    why: str | None
    request_id: str | None
    now: int
