"""What the ledger's scripts are asked: each dataclass is a script's contract, field by field. What is None is left out.

Instants are milliseconds since 1970 UTC, lengths of time are milliseconds, contacts are digests of their addresses.
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
    """What has happened to a contact: it ends the enrollments of some campaigns, as far as they began before."""

    reason: str
    slugs: Sequence[str]
    before: int


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """What a calendar says of a meeting.

    Attributes:
        what: happened.
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
    """The campaign of the webhook, and the key of the contact's enrollments in it; without a plan they are only
    tracked."""

    key: str
    slug: str
    kind: Kind
    request_id: str


@dataclass(frozen=True, kw_only=True)
class Enroll:
    """A sign-up, a report or a meeting (enroll.lua).

    Attributes:
        contact: who.
        fields: what the form says of them.
        source: the trigger.
        seen: a digest of the `Idempotency-Key` or of the event: the same again gets the first answer.
        seen_ttl: how long it does.
        answer: that answer.
        consent: whether the form carries one.
        lead: a digest of scores of which the owner is told, unless they were the last ones too.
        limit: how often the contact may come.
        exit: what ends other enrollments.
        meeting: what a calendar says.
        start: where the webhook has a campaign.
        plan: where the form carries what the campaign requires.
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
    """What the provider reports of an email or an address (receive.lua).

    Attributes:
        what: was reported.
        at: when it happened.
        seen: a digest of the report: the same again does nothing.
        seen_ttl: how long it is known.
        contact: the addressee.
        enrollment, step: of our email.
        id: the provider's own of the email.
        sent: when the provider accepted it.
        reason: in the provider's words.
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
    """How a request ended, and what was learned by it (settle.lua).

    Attributes:
        outcome: how.
        ids: the provider's own of the emails that it accepted.
        why: the reason, without an address.
        retry_after: how long to wait at least before the next attempt.
        hold: how long to ask nothing of the provider.
        delays: the waits before attempts 2, 3 and all later ones.
        patience: how long after its due a step that cannot be written is tried.
        gate: why nothing can be sent at all, and `gate_until` when one email is tried again.
        rate_seen: the requests a second that the provider names.
        turn: the turn at the provider, and `left` when the request left.
        date: what time it is by the provider's clock.
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
    """How a paused enrollment goes on (resume.lua).

    Attributes:
        enrollment: which.
        paused_at: since when: what was worked out for another pause does nothing.
        anchor: from which its delays count now.
        dues: by step, when it is due now.
        nexts: by step, when it may go at the earliest.
        catch_up: the time between two emails while what was missed is sent.
    """

    enrollment: str
    paused_at: int
    anchor: int
    dues: dict[int, int]
    nexts: dict[int, int]
    catch_up: int | None


@dataclass(kw_only=True)
class RestoredStep:
    """A step of an enrollment that comes back; `state` is None while nobody knows what became of it.

    Attributes:
        number, offset, due: as in its plan.
        sent: when, and `by` whom; `id` is the provider's own.
        why: it was not sent.
        note: what the provider said of it.
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
    """An enrollment that comes back, as Notion tells of it.

    Attributes:
        id, key, number: its id, and what that is made of.
        slug, kind, reentry: of its campaign, where there still is one.
        what: it is to be; `finished` and `tracking` only leave a mark.
        page: its row in the tracker.
        anchor: from which its delays count.
        group: of which one campaign runs at a time.
        created: when it began.
        exits: the reasons that end it.
        paused_at: since when it is paused, where it is.
        ticked: whether its Pause is ticked.
        steps: all of it, where it is open.
        why: it is paused, and `notes` what the owner should know of it: both for the report.
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
    """For a dry run of a restore: what would be so by then.

    Attributes:
        lost: the fence would be on.
        gone: the enrollments that would have been thrown away.
        held: the group would be taken.
    """

    lost: bool
    gone: Sequence[str]
    held: bool


@dataclass(frozen=True, kw_only=True)
class Restore:
    """A person as Notion tells of them, and one enrollment of theirs (restore.lua).

    Attributes:
        contact: who.
        fields: what is known of them.
        page: their row.
        reason: why they get no email.
        run: the enrollment; None where there is none.
        dry: only say what would become of it, if this were so.
    """

    contact: str
    fields: dict[str, str] | None = None
    page: str | None = None
    reason: str | None = None
    run: RestoredEnrollment | None = None
    dry: Foreseen | None = None
