"""What Notion knows of a lost ledger: contacts, runs and emails, read from its rows, with duplicates merged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.core.settings import Settings
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import normalized
from shared.domain.segments import SEGMENTS
from shared.integrations.notion import Notion
from shared.ledger import ids
from shared.notion.cells import Cells
from shared.notion.schema import CONTACTS, EMAIL_LOG, NUMBERED, TRACKER, Source
from shared.recovery.sent_list import Follow, unseen

FINISHED = ("completed", "exited", "cancelled")
_TEXTS = {"Name": "name", "First Name": "first_name", "Business Name": "business_name", "Source": "source"}
_NUMBERS = {"Assessment Score": "assessment_score"} | {
    f"{color} Systems": f"{color.lower()}_systems" for color in ("Red", "Orange", "Yellow", "Green")
}
_REASONS = ("complained", "bounced", "unsubscribed")
# Of two rows of one email, the first of these counts.
_LOGGED = ("bounced", "complained", "sent", "in doubt", "skipped", "failed", "retrying")
_REPORTS = {"Delivered At": "delivered", "Opened At": "opened", "Clicked At": "clicked"}


@dataclass
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


@dataclass(frozen=True)
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


@dataclass
class EnrollmentRow:
    """The merged rows of one enrollment.

    Attributes:
        id: the enrollment's.
        status: active, paused, tracking, completed, exited or cancelled.
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
    """Everything that Notion knows.

    Attributes:
        people: by digest of the address.
        runs: by enrollment.
        logged: by email id.
        left: what cannot be restored.
        duplicates: rows that were merged with another.
    """

    people: dict[str, Person] = field(default_factory=dict)
    runs: dict[str, EnrollmentRow] = field(default_factory=dict)
    logged: dict[str, Logged] = field(default_factory=dict)
    left: list[NotRestored] = field(default_factory=list)
    duplicates: int = 0

    def last_logged_run(self, key: str) -> int:
        """The highest number of an enrollment with a logged email; 0 if there is none."""
        runs = (ids.parse_email_id(email)[0].rpartition("-") for email in self.logged)
        return max((int(number) for prefix, _, number in runs if prefix == key), default=0)


@dataclass
class Reader:
    """Reads the rows.

    Attributes:
        notion: the workspace.
        settings: name the owner's databases and columns.
        catalog: the campaigns.
        follow: shows the progress.
    """

    notion: Notion
    settings: Settings
    catalog: Catalog
    follow: Follow = unseen

    def read(self) -> Rows:
        """Read everything; raises NotionError."""
        rows = Rows()
        for cells in self.cells(CONTACTS):
            self._contact(cells, rows)
        for cells in self.cells(EMAIL_LOG):
            self._email(cells, rows)
        by_address = []
        for cells in self.cells(TRACKER):
            if run := self._run(cells, rows):
                if run.id:
                    _add(run, rows)
                else:
                    by_address.append(run)
        for run in by_address:  # merged into the enrollment that has an id, if any
            run.id = self._id_by_address(run, rows)
            _add(run, rows)
        return rows

    def cells(self, source: Source) -> Iterator[Cells]:
        """The rows of a data source; none if the owner does not have it."""
        if id := str(getattr(self.settings, source.setting)):
            for page in self.follow(self.notion.pages(self.notion.data_source(id)), f"Reading {source.title}"):
                yield Cells(page, source, self.settings)

    def _contact(self, cells: Cells, rows: Rows) -> None:
        email = normalized(cells.text("Email") or "")
        if not email:
            rows.left.append(NotRestored(cells.id, "the contact has no address"))
            return
        found = {
            name: text for column, name in _TEXTS.items() if (text := cells.text(column)) and normalized(text) != email
        }
        for column, name in _NUMBERS.items():
            text = cells.text(column) or ""
            if re.fullmatch(r"\d+(\.0+)?", text):
                found[name] = text.partition(".")[0]
        if (last := cells.instant("Last Email Sent")) is not None:
            found["last_sent"] = str(last)
        if cells.text("Consent") not in (None, "False"):
            found["consent_at"] = str(cells.created)
        subscription = (cells.text("Subscription") or "").lower()
        person = rows.people.setdefault(ids.digest(email), Person({"email": email}, page=cells.id))
        person.fields = found | person.fields  # the oldest of duplicate rows takes precedence
        reasons = (person.reason, subscription)
        person.reason = next((reason for reason in _REASONS if reason in reasons), None)

    def _email(self, cells: Cells, rows: Rows) -> None:
        id, state = cells.text("Email ID") or "", (cells.text("Status") or "").lower()
        if not re.fullmatch(r".+-\d+-\d+", id) or state not in _LOGGED:
            rows.left.append(NotRestored(cells.id, "the row of the email log has no valid Email ID or Status"))
            return
        known = rows.logged.get(id)
        if known and _LOGGED.index(known.state) <= _LOGGED.index(state):
            return
        reports = {name: at for column, name in _REPORTS.items() if (at := cells.instant(column)) is not None}
        sent_at = cells.instant("Sent At")
        if state in ("bounced", "complained"):
            reports, state = reports | ({} if sent_at is None else {state: sent_at}), "sent"
        rows.logged[id] = Logged(
            state, cells.id, sent_at, cells.text("Resend ID"), cells.text("Sent By"), cells.text("Error"), reports
        )

    def _run(self, cells: Cells, rows: Rows) -> EnrollmentRow | None:
        """The enrollment of a row, without an id if the row has none that fits."""
        email, name = normalized(cells.text("Email") or ""), cells.text("Campaign") or ""
        campaign = _campaign(name, self.catalog)
        id = cells.text("Enrollment ID") or ""
        id = id if campaign and _fits(id, campaign, email) else ""
        why = _unfit(email, name, campaign, id)
        if campaign is None or why:
            rows.left.append(NotRestored(cells.text("Enrollment ID") or cells.id, why))
            return None
        contact = rows.people.setdefault(ids.digest(email), Person({"email": email}))
        if (own := cells.text("Name")) and normalized(own) != email:
            contact.fields.setdefault("name", own)
        if (segment := cells.text("Segment")) in SEGMENTS:
            contact.fields.setdefault(
                "segment", segment
            )  # used only without scores, which earlier builds did not store
        marks = {n: at for n in range(1, NUMBERED + 1) if (at := cells.instant(f"Email {n} Sent")) is not None}
        status = (cells.text("Status") or "active").lower()
        ticked = cells.text("Pause") == "True"
        if status not in ("tracking", *FINISHED):
            status = "paused" if status == "paused" or ticked else "active"
        anchor, paused_at = cells.instant("Anchor", up=True), cells.instant("Paused At", up=True)
        segment = cells.text("Segment")
        return EnrollmentRow(
            id, campaign, email, cells.id, status, anchor, paused_at, marks, segment, ticked, cells.created
        )

    def _id_by_address(self, run: EnrollmentRow, rows: Rows) -> str:
        key = ids.enrollment_prefix(run.campaign.slug, run.email)
        if run.status == "tracking":
            return f"{key}-0"
        known = [other.number for other in rows.runs.values() if other.key == key]
        return f"{key}-{max([*known, rows.last_logged_run(key), 1])}"


def _unfit(email: str, name: str, campaign: Campaign | None, id: str) -> str:
    """Why an enrollment's row cannot be restored; "" if it can."""
    if not email:
        return "the row has no address"
    if campaign is None:
        return f"there is no campaign {name!r}"
    if campaign.steps[0].before is not None:
        return "reminders of a meeting: only the calendar knows whether it takes place"
    return "the row does not name its event" if campaign.reentry == "per-event" and not id else ""


def _add(run: EnrollmentRow, rows: Rows) -> None:
    if known := rows.runs.get(run.id):
        known.unite(run)
        rows.duplicates += 1
    else:
        rows.runs[run.id] = run


def _campaign(name: str, catalog: Catalog) -> Campaign | None:
    wanted = name.strip().casefold()
    return next(
        (
            c
            for c in catalog.campaigns.values()
            if wanted in (c.name.casefold(), c.name.replace(",", " ").casefold(), c.slug)
        ),
        None,
    )


def _fits(id: str, campaign: Campaign, email: str) -> bool:
    """Whether an Enrollment ID is valid for this campaign and, if ids are derived from addresses, for this address."""
    if not re.fullmatch(rf"{re.escape(campaign.slug)}-[0-9a-f]{{20}}-\d{{1,6}}", id):
        return False
    return campaign.reentry == "per-event" or id.rpartition("-")[0] == ids.enrollment_prefix(campaign.slug, email)
