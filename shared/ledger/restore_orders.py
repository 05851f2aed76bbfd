"""What restore.lua takes: a person and an enrollment, as recorded in Notion. None values are left out.

Instants are milliseconds since 1970 UTC, contacts are digests of their addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from shared.domain.states import Kind, Reentry, StepState


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
        queued_until: until when it waits for its group, if it does.
        ticked: whether its Pause is ticked.
        steps: all its steps, if it is open.
        why: why it is paused, and `notes` what the owner should know about it: both for the report.
    """

    id: str
    key: str
    number: int
    what: Literal["finished", "tracking", "active", "paused", "queued"]
    slug: str | None = None
    kind: Kind | None = None
    reentry: Reentry | None = None
    page: str | None = None
    anchor: int | None = None
    group: str | None = None
    created: int | None = None
    exits: Sequence[str] = ()
    paused_at: int | None = None
    queued_until: int | None = None
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
