"""What Notion knows of a lost ledger: contacts, enrollments and emails, with duplicate rows merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from shared.domain.catalog import Campaign
from shared.ledger import ids
from shared.recovery.on_disk import OnDisk

FINISHED = ("completed", "failed", "exited", "cancelled")


@dataclass(slots=True)
class Person:
    """A contact.

    Attributes:
        fields: as the ledger keeps them.
        reason: why they get no email, if so.
        page: the row.
    """

    fields: dict[str, str]
    reason: str | None = None
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """An email of the log. Instants are milliseconds since 1970 UTC.

    Attributes:
        state: sent, in doubt, skipped, failed or retrying.
        reports: when it was delivered, opened, clicked, bounced, complained about.
    """

    state: str
    page: str
    sent_at: int | None
    provider_id: str | None
    by: str | None
    why: str | None
    reports: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class EnrollmentRow:
    """The merged rows of one enrollment.

    Attributes:
        id: the enrollment's.
        status: active, paused, queued, tracking, completed, failed, exited or cancelled.
        marks: when each step was sent, according to the tracker.
        segment: according to the row.
        ticked: whether the owner has ticked Pause.
        created: when the first of its rows was created, in milliseconds since 1970 UTC; unlike the anchor, it never
            moves.
    """

    id: str
    campaign: Campaign
    email: str
    page: str
    status: str
    anchor: int | None
    paused_at: int | None
    marks: dict[int, int]
    segment: str | None = None
    ticked: bool = False
    created: int | None = None

    @property
    def key(self) -> str:
        """The prefix of the ids of the same person in the same campaign."""
        return self.id.rpartition("-")[0]

    @property
    def number(self) -> int:
        """The number of the enrollment; 0 only tracks."""
        return int(self.id.rpartition("-")[2])

    def unite(self, other: EnrollmentRow) -> None:
        """Merge a duplicate: all marks, the earliest anchor, the end if one has ended, and the pause if one is
        paused."""
        self.marks = other.marks | self.marks
        self.anchor = min((at for at in (self.anchor, other.anchor) if at is not None), default=None)
        self.status = max(
            self.status, other.status, key=lambda status: (status in FINISHED, status == "paused", status == "active")
        )
        self.paused_at = self.paused_at or other.paused_at
        self.ticked = self.ticked or other.ticked
        self.created = min((at for at in (self.created, other.created) if at is not None), default=None)


@dataclass(frozen=True)
class NotRestored:
    """A row that is not restored: its page's id or the enrollment's, and why."""

    row: str
    why: str


@dataclass
class Rows:
    """Everything that Notion knows. What it knows of emails is on disk.

    Attributes:
        people: by digest of the address.
        runs: by enrollment.
        numbers: the highest known number of the enrollments of each key, by row or by email log.
        provider_ids: the keys are the provider's ids of the logged emails.
        last_logged: when the last of these was sent, in milliseconds since 1970 UTC.
        unwritten: the column in which a stop may be missing, because it is a Status without an option for it; empty if
            there is none.
        left: what cannot be restored.
        duplicates: rows that were merged with another.
    """

    people: dict[str, Person] = field(default_factory=dict)
    runs: dict[str, EnrollmentRow] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    provider_ids: OnDisk = field(default_factory=OnDisk)
    last_logged: int | None = None
    unwritten: str = ""
    left: list[NotRestored] = field(default_factory=list)
    duplicates: int = 0
    _logged: OnDisk = field(default_factory=OnDisk)

    def add(self, run: EnrollmentRow) -> None:
        """Add the row of an enrollment, or merge it into the one that is known."""
        if known := self.runs.get(run.id):
            known.unite(run)
            self.duplicates += 1
        else:
            self.runs[run.id] = run
            self._count(run.id)

    def id_by_address(self, run: EnrollmentRow) -> str:
        """The id of an enrollment whose row has none: that of the person's last known one in this campaign."""
        key = ids.enrollment_prefix(run.campaign.slug, run.email)
        return f"{key}-{0 if run.status == 'tracking' else max(self.numbers.get(key, 0), 1)}"

    def add_email(self, id: str, email: Logged) -> None:
        """Add the row of an email, or replace the one that is known."""
        self._logged.put(id, asdict(email))
        self._count(ids.parse_email_id(id)[0])
        if email.provider_id:
            self.provider_ids.put(email.provider_id)
            self.last_logged = max(self.last_logged or 0, email.sent_at or 0) or None

    def logged(self, id: str) -> Logged | None:
        """The row of an email."""
        values = self._logged.get(id)
        return Logged(**values) if values else None

    def _count(self, run: str) -> None:
        key, _, number = run.rpartition("-")
        self.numbers[key] = max(self.numbers.get(key, 0), int(number))
