"""What enroll.lua takes: a sign-up, a report or a meeting. None values are left out.

Instants are milliseconds since 1970 UTC, durations are milliseconds, contacts are digests of their addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.domain.enrollment_plan import Plan
from shared.domain.states import Kind
from shared.ledger.orders import Limit


@dataclass(frozen=True, kw_only=True)
class Exit:
    """What has happened to a contact: it ends the enrollments in some campaigns, if they began before it."""

    reason: str
    slugs: Sequence[str]
    before: int


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """What a calendar reports about a meeting.

    Attributes:
        what: what happened.
        uid: a digest of the meeting's id.
        at: when it happened.
        starts: when the meeting begins.
        replaces: the digest of the meeting that was moved to this one.
        keep: how long the meeting is remembered.
    """

    what: Literal["booked", "cancelled", "no-show", "no-show-undone"]
    uid: str
    at: int
    starts: int | None
    replaces: str | None
    keep: int


@dataclass(frozen=True, kw_only=True)
class Start:
    """The campaign of the webhook, and the key of the contact's enrollments in it; without a plan, the contact is only
    tracked."""

    key: str
    slug: str
    kind: Kind
    request_id: str


@dataclass(frozen=True, kw_only=True)
class Enroll:
    """A sign-up, a report or a meeting (enroll.lua).

    Attributes:
        contact: the contact.
        fields: what the form says about them.
        source: the trigger.
        seen: a digest of the `Idempotency-Key` or of the event: the same one again gets the first answer.
        seen_ttl: for how long.
        answer: that answer.
        consent: whether the form includes consent.
        lead: a digest of scores that the owner is alerted to, unless they are the same as the last ones.
        limit: how often the contact may come.
        exit: what ends other enrollments.
        meeting: what a calendar reports.
        start: if the webhook has a campaign.
        plan: if the form has what the campaign requires.
    """

    contact: str
    fields: dict[str, str]
    source: str
    seen: str | None = None
    seen_ttl: int = 0
    answer: str = ""
    consent: bool = False
    lead: str | None = None
    limit: Limit | None = None
    exit: Exit | None = None
    meeting: Meeting | None = None
    start: Start | None = None
    plan: Plan | None = None
