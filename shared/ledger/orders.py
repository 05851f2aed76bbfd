"""What the ledger's scripts take: each dataclass is a script's contract, field by field. None values are left out.

Instants are milliseconds since 1970 UTC, durations are milliseconds, contacts are digests of their addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from shared.domain.enrollment_plan import Plan
from shared.domain.states import Kind, Outcome, Reentry, StepState


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How often something may be done: `most` times in a `window`, counted under a `key` (limit.lua, enroll.lua)."""

    key: str
    most: int
    window: int


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


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the provider reports about an email or an address (receive.lua).

    Attributes:
        what: what was reported.
        at: when it happened.
        seen: a digest of the report: the same one again does nothing.
        seen_ttl: how long that is remembered.
        contact: the addressee.
        enrollment, step: those of our email.
        id: the provider's id for the email.
        sent: when the provider accepted it.
        reason: why, in the provider's words.
    """

    what: str
    at: int
    seen: str
    seen_ttl: int
    contact: str | None
    enrollment: str | None
    step: int | None
    id: str | None
    sent: int
    reason: str | None = None


@dataclass(frozen=True)
class Ending:
    """How a request ended, and what was learned from it (settle.lua).

    Attributes:
        outcome: how it ended.
        ids: the provider's ids for the emails that it accepted.
        why: the reason, without an address.
        retry_after: the minimum wait before the next attempt.
        hold: how long to send the provider no requests.
        delays: the waits before attempts 2, 3 and all later ones.
        patience: how long after its due time a step that cannot be written is retried.
        gate: why nothing can be sent at all, and `gate_until` when one email is tried again.
        rate_seen: the requests per second that the provider names.
        turn: the turn at the provider, and `left` when the request left.
        date: the time by the provider's clock.
    """

    outcome: Outcome
    ids: Sequence[str] = ()
    why: str | None = None
    retry_after: int = 0
    hold: int | None = None
    delays: Sequence[int] = (0,)
    patience: int = 0
    gate: str | None = None
    gate_until: int | None = None
    rate_seen: str | None = None
    turn: int | None = None
    left: int | None = None
    date: int | None = None


@dataclass(frozen=True, kw_only=True)
class Resume:
    """How a paused enrollment continues (resume.lua).

    Attributes:
        enrollment: its id.
        paused_at: when the pause began: an order for another pause does nothing.
        anchor: the instant that its delays count from now on.
        dues: by step, when it is due now.
        nexts: by step, the earliest time it may go.
        catch_up: the time between two emails while missed emails are sent.
    """

    enrollment: str
    paused_at: int
    anchor: int
    dues: dict[int, int]
    nexts: dict[int, int]
    catch_up: int | None


@dataclass(kw_only=True)
class RestoredStep:
    """A step of an enrollment that is being restored; `state` is None while it is unknown what became of it.

    Attributes:
        number, offset, due: as in its plan.
        sent: when it was sent, and `by` whom; `id` is the provider's id.
        why: why it was not sent.
        note: what the provider said about it.
        reports: when it was delivered, opened, ...
        page: its row in the email log.
    """

    number: int
    offset: int
    due: int
    state: StepState | None = None
    sent: int | None = None
    by: str | None = None
    id: str | None = None
    why: str | None = None
    note: str | None = None
    reports: dict[str, int] = field(default_factory=dict)
    page: str | None = None


@dataclass(kw_only=True)
class RestoredEnrollment:
    """An enrollment that is being restored, as recorded in Notion.

    Attributes:
        id, key, number: its id, and the parts of it.
        slug, kind, reentry: those of its campaign, if it still exists.
        what: what it becomes; `finished` and `tracking` only leave a mark.
        page: its row in the tracker.
        anchor: the instant that its delays count from.
        group: only one campaign of a group runs at a time.
        created: when it began.
        exits: the reasons that end it.
        paused_at: since when it is paused, if it is.
        ticked: whether its Pause is ticked.
        steps: all its steps, if it is open.
        why: why it is paused, and `notes` what the owner should know about it: both for the report.
    """

    id: str
    key: str
    number: int
    what: Literal["finished", "tracking", "active", "paused"]
    slug: str | None = None
    kind: Kind | None = None
    reentry: Reentry | None = None
    page: str | None = None
    anchor: int | None = None
    group: str | None = None
    created: int | None = None
    exits: Sequence[str] = ()
    paused_at: int | None = None
    ticked: bool = False
    steps: Sequence[RestoredStep] = ()
    why: str | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """For a dry run of a restore: what would be true by then.

    Attributes:
        lost: the fence would be on.
        gone: the enrollments that would have been discarded.
        held: the group would be taken.
    """

    lost: bool
    gone: Sequence[str]
    held: bool


@dataclass(frozen=True, kw_only=True)
class Restore:
    """A person as recorded in Notion, and one of their enrollments (restore.lua).

    Attributes:
        contact: the contact.
        fields: what is known about them.
        page: their row.
        reason: why they get no email.
        run: the enrollment; None if there is none.
        dry: only report what would become of it in this situation.
    """

    contact: str
    fields: dict[str, str] | None = None
    page: str | None = None
    reason: str | None = None
    run: RestoredEnrollment | None = None
    dry: Foreseen | None = None
