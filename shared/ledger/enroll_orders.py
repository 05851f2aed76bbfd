"""What enroll.lua takes: a sign-up, a report or a meeting. None values are left out.

Instants are milliseconds since 1970 UTC, durations are milliseconds, contacts are digests of their addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.domain.enrollment_plan import Plan
from shared.domain.states import Confirm, Kind
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
        uid: a digest of the booking's id.
        seat: a digest of the booking's id and the attendee's address; None where no booking has seats.
        seated: whether the booking has seats; None if the event does not say.
        first: whether the attendee is the first that the event lists.
        at: when it happened.
        starts: when the meeting begins.
        replaces: the digest of the booking that was moved to this one, and `replaces_seat` of the seat there.
        series: the series that it is part of; a cancellation with it, but without `dates`, ends all that remains.
        dates: the starts of the other meetings that are cancelled.
        reminds: the campaign that the calendar's bookings enroll in.
        keep: how long the meeting is remembered.
    """

    what: Literal["booked", "cancelled", "no-show", "no-show-undone"]
    uid: str
    seat: str | None
    seated: bool | None
    first: bool
    at: int
    starts: int | None
    replaces: str | None
    replaces_seat: str | None
    series: str | None
    dates: Sequence[int]
    reminds: str | None
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
class Consent:
    """What a contact agrees to: the words, the page of the website, the trigger or the program it came by, the network
    it came from, and whether it counts after an unsubscribe."""

    text: str | None
    page: str | None
    source: str
    network: str | None = None
    lifts: bool = True


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """A challenge that was solved: a digest of it, and how long to remember that it is spent."""

    id: str
    keep: int


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a sign-up is measured by that proves nothing (lua/visits.lua).

    Attributes:
        confirm: when the campaign wants its sign-ups confirmed.
        ceilings: limits for all sign-ups together, and `solved_ceilings` for those with a solved challenge; above one,
            they are held.
        networks: limits for the visitor's networks, the narrowest first; above one, they are held.
        mailbox: how many spellings of one mailbox may sign up; others are held.
        address: the limit for this address from this network; above it, nothing happens.
        challenge: the challenge that the visitor solved.
        must_solve: whether a sign-up without a solved challenge is held.
    """

    confirm: Confirm
    ceilings: Sequence[Limit]
    solved_ceilings: Sequence[Limit]
    networks: Sequence[Limit]
    mailbox: Limit
    address: Limit
    challenge: Challenge | None = None
    must_solve: bool = False


@dataclass(frozen=True, kw_only=True)
class Hold:
    """How a sign-up is held (lua/holding.lua): its id, the webhook, digests of mailbox and network, and all that is
    needed to enroll later, as JSON."""

    id: str
    trigger: str
    mailbox: str
    network: str
    record: str


@dataclass(frozen=True, kw_only=True)
class Enroll:
    """A sign-up, a report or a meeting (enroll.lua).

    Attributes:
        contact: the contact.
        fields: what the form says about them.
        claimed: what it says that must not be printed.
        source: the trigger.
        seen: a digest of the `Idempotency-Key` or of the event: the same one again gets the first answer.
        body: a digest of what came with the key: another body is refused.
        seen_ttl: for how long.
        answer: that answer.
        consent: what the contact agrees to.
        lead: a digest of scores that the owner is alerted to, unless they are the same as the last ones.
        visit: if nothing proves the order; and `hold`: how it is held, if it is.
        confirms: the id of the held sign-up that the owner of the mailbox confirms with it.
        exit: what ends other enrollments.
        meeting: what a calendar reports.
        start: if the webhook has a campaign.
        plan: if the form has what the campaign requires.
    """

    contact: str
    fields: dict[str, str]
    source: str
    claimed: dict[str, str] | None = None
    seen: str | None = None
    body: str = ""
    seen_ttl: int = 0
    answer: str = ""
    consent: Consent | None = None
    lead: str | None = None
    visit: Visit | None = None
    hold: Hold | None = None
    confirms: str | None = None
    exit: Exit | None = None
    meeting: Meeting | None = None
    start: Start | None = None
    plan: Plan | None = None
