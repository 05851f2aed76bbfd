"""What the ledger's scripts return; `claims.py` has what those of sending return.

Instants are milliseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.domain.states import EnrollmentState, StepState


class Enrolled(NamedTuple):
    """The result of a sign-up, a report or a meeting.

    Attributes:
        what: `enrolled`, `queued`, `exists`, `blocked`, `tracked`, `cancelled` or `ignored`; `duplicate`: it came
            before; `conflict`: its key came before with another body; `held`: it waits for a confirmation; `asks`: so
            does this, for an unsubscribed address, but the answer does not say so; `repeated`: it came too often for
            this address, and does nothing; `refused`: it came too often; `gone`: it is not held any more.
        which: the enrollment's id, or empty; for a duplicate, the first answer.
    """

    what: str
    which: str


@dataclass(frozen=True)
class Asking:
    """A contact who must be asked for a confirmation.

    Attributes:
        contact: the digest of the address.
        number: 1 for the first email, 2 for the reminder.
        since: when the first sign-up was held, in milliseconds since 1970 UTC.
        records: the sign-ups that are held, as they were stored.
    """

    contact: str
    number: int
    since: int
    records: tuple[str, ...]


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
    """How much was erased: enrollments, requests to the provider, updates waiting for Notion or the owner, meetings,
    and sign-ups that waited for a confirmation."""

    enrollments: int
    requests: int
    notes: int
    meetings: int
    held: int


@dataclass(frozen=True)
class Purged:
    """How much a purge erased, or would: contacts, their enrollments, held sign-ups; and their pages in Notion."""

    contacts: int = 0
    enrollments: int = 0
    held: int = 0
    pages: Collection[str] = frozenset()

    def __add__(self, other: Purged) -> Purged:
        return Purged(
            self.contacts + other.contacts,
            self.enrollments + other.enrollments,
            self.held + other.held,
            frozenset((*self.pages, *other.pages)),
        )


@dataclass(frozen=True)
class Taken:
    """An outbox entry or an alert: its name, its version, and an alert's count and latest detail.

    A summary of leads is named `leads`, and has the name and the version of each in `members`."""

    member: str
    version: str
    count: int = 0
    detail: str = ""
    members: tuple[tuple[str, str], ...] = ()

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
