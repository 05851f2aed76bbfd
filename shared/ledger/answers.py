"""What the ledger's scripts return. Instants are milliseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.domain.enrollments import Contact
from shared.domain.states import EnrollmentState, Refusal, StepState
from shared.ledger import ids


class Enrolled(NamedTuple):
    """The result of a sign-up, a report or a meeting.

    Attributes:
        what: `enrolled`, `exists`, `blocked`, `tracked`, `cancelled` or `ignored`; `duplicate`: it came before;
            `limited`: it came too often.
        which: the enrollment's id, or empty; for a duplicate, the first answer; if it came too often, the milliseconds
            to wait.
    """

    what: str
    which: str


class Released(NamedTuple):
    """What a release did: wake-ups put on the queue, wake-ups that were not needed, and milliseconds until the next is
    due."""

    released: int
    dropped: int
    following: int | None


class Swept(NamedTuple):
    """What a sweep found: the email ids that are overdue now, and how many were woken."""

    overdue: set[str]
    woken: int


@dataclass(frozen=True)
class Erased:
    """How much was erased: enrollments, requests to the provider, updates waiting for Notion or the owner, and
    meetings."""

    enrollments: int
    requests: int
    notes: int
    meetings: int


@dataclass(frozen=True)
class Taken:
    """An outbox entry or an alert: its name, its version, and an alert's count and latest detail."""

    member: str
    version: str
    count: int = 0
    detail: str = ""

    @property
    def kind(self) -> str:
        """`contact`, `enrollment` or `email`; `alert` or `lead`."""
        return self.member.partition(":")[0]

    @property
    def id(self) -> str:
        """Which one."""
        return self.member.partition(":")[2]


class Counted(NamedTuple):
    """The ledger's time, and the milliseconds until what was counted is allowed; 0: now."""

    now: int
    wait: int


@dataclass(frozen=True)
class Became:
    """What became of an enrollment found in Notion.

    Attributes:
        what: `restored`, `ended` (the state is how), `marked`, `tracked`, `exists`, `blocked` or `suppressed`;
            `contact`: there is no enrollment.
        state: the enrollment's; None if it is not restored.
        why: why it ended.
        skipped: the numbers of the steps that a person has skipped since the loss.
        thrown: the enrollments that came in since the loss and are discarded.
        began_as: the one of those that got another number, and `new_id` its new id; both empty if none did.
    """

    what: str
    state: EnrollmentState | None
    why: str
    skipped: Sequence[int]
    thrown: Sequence[str]
    began_as: str
    new_id: str


@dataclass(frozen=True)
class Claimed:
    """What a claim returned to send.

    Attributes:
        wait: milliseconds to wait for our turn at the provider.
        turn: the instant of that turn, in milliseconds since 1970 UTC by the ledger's clock.
        items: the emails, the requested one first (in a repeated batch: the batch's own order).
        request: the id of the request that was posted before and must be repeated as it was; empty for a new one.
        body: that request, as JSON.
        ask_time: whether the provider must be asked for its time before this is posted.
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
        again: whether to ask again: for a later turn than the one asked for, or without some of its emails.
        without: the ids of those emails, which may no longer go.
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
    """One claimed email: its enrollment and step, what is known about the person, and what the webhook said about the
    occasion."""

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
        """The id of a request for this email alone, also its idempotency key: a new one after each retry by a
        person."""
        return f"{self.id}-r{self.retries}" if self.retries else self.id


@dataclass(frozen=True)
class Refused:
    """Why a claim returned nothing to send, until when, the reason, and how the step ended if it has.

    Attributes:
        what: the kind of refusal.
        until: when it may be claimed; for a late step, when it was due.
        why: the reason, without an address.
        state: the step's, if it is done.
    """

    what: Refusal
    until: int | None = None
    why: str = ""
    state: StepState | None = None


@dataclass(frozen=True)
class Settled:
    """What became of a step: its state (None: it is gone), its next wake-up if it has one, the attempts made, and why
    it is not sent."""

    id: str
    state: StepState | None
    next: int | None
    attempts: int
    why: str = ""


@dataclass(frozen=True)
class Peek:
    """A step's state, the instant before which it must not be looked at, why it ended this way, the id of the request
    that started it, and the time."""

    state: StepState | None
    next: int | None
    why: str | None
    request_id: str | None
    now: int


def instant(text: str | int | None) -> int | None:
    """An instant, or None for an empty text."""
    return int(text) if text not in (None, "") else None


def enrollment_state(word: str) -> EnrollmentState | None:
    """The state of an enrollment, or None for an empty word."""
    return EnrollmentState(word) if word else None


def step_state(word: str | None) -> StepState | None:
    """The state of a step, or None for an empty word."""
    return StepState(word) if word else None
