"""Verifying Notion: whether each item of the ledger has exactly one row there, and the two agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.core.settings import Settings
from shared.domain.addresses import canonical
from shared.domain.catalog import Catalog
from shared.domain.enrollments import Step
from shared.domain.states import StepState
from shared.integrations.notion import Notion
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.outbox import Outbox
from shared.notion.cells import MINUTE, Cells
from shared.notion.schema import CONTACTS, EMAIL_LOG, NUMBERED, TRACKER, Source
from shared.recovery.enrollment_records import EnrollmentRecord
from shared.recovery.findings import Finding
from shared.recovery.notion_reader import Reader
from shared.recovery.sent_list import Follow, unseen

_LOGGED = {
    StepState.SENT: ("sent", "bounced", "complained"),
    StepState.FAILED: ("failed",),
    StepState.IN_DOUBT: ("in doubt",),
}
_OPEN = ("active", "paused", "queued")
Index = dict[str, list[Cells]]


@dataclass
class NotionWitness:
    """Compares the ledger with Notion's rows. Items in the outbox are about to be written, and are skipped.

    Attributes:
        ledger: is compared.
        catalog: the campaigns.
        settings: name the owner's databases and columns.
        notion: is read.
        follow: shows the progress.
    """

    ledger: Ledger
    catalog: Catalog
    settings: Settings
    notion: Notion
    follow: Follow = unseen
    _pending: set[str] = field(default_factory=set)

    def compare(self, everything: list[EnrollmentRecord]) -> list[Finding]:
        """Where Notion differs; raises NotionError.

        Args:
            everything: the enrollments in the ledger, read beforehand.
        """
        self._pending = Outbox(self.ledger).pending()
        people = self._index(CONTACTS, "Email")
        runs, emails = self._index(TRACKER, "Enrollment ID"), self._index(EMAIL_LOG, "Email ID")
        findings = [*_twice(people), *_twice(runs), *_twice(emails)]
        if self.settings.notion_businessx_db_id:
            addresses = {ids.digest(one.email): one.email for one in everything}
            findings += [
                found for contact, email in addresses.items() if (found := self._contact(contact, email, people))
            ]
        for one in everything:
            findings += self._run(one, runs)
            if self.settings.notion_email_log_db_id:
                findings += self._emails(one, emails)
        return findings + list(_strangers(runs, {one.enrollment.id for one in everything}))

    def _index(self, source: Source, key: str) -> Index:
        found: Index = {}
        for cells in Reader(self.notion, self.settings, self.catalog, self.follow).cells(source):
            if name := cells.text(key):
                found.setdefault(canonical(name) or name.strip().lower(), []).append(cells)
        return found

    def _waits(self, kind: str, id: str) -> bool:
        return f"{kind}:{id}" in self._pending

    def _contact(self, contact: str, email: str, rows: Index) -> Finding | None:
        if email in rows or self._waits("contact", contact):
            return None
        return Finding("gap", contact, "the contact has no row in Notion", tell=("contact", contact))

    def _run(self, one: EnrollmentRecord, rows: Index) -> Iterator[Finding]:
        run, tell = one.enrollment, ("enrollment", one.enrollment.id)
        if self._waits(*tell):
            return
        found = rows.get(run.id)
        if not found:
            yield Finding("gap", run.id, "the run has no row in Notion", tell=tell)
            return
        status = found[0].text("Status")
        if status and status.lower() != run.state:
            yield Finding("disagreement", run.id, f"it is {run.state}, and its row says {status}", tell=tell)
        for step in run.steps:
            if step.number <= NUMBERED:
                yield from self._mark(run.id, step, found[0])

    def _mark(self, run: str, step: Step, row: Cells) -> Iterator[Finding]:
        mark, id = row.instant(f"Email {step.number} Sent"), ids.email_id(run, step.number)
        if (
            step.state == StepState.SENT
            and step.sent_at is not None
            and (mark is None or abs(mark - step.sent_at) >= MINUTE)
        ):
            message = (
                "it was sent, and its row has no mark" if mark is None else "its row has another time than the ledger"
            )
            yield Finding("disagreement", id, message, tell=("enrollment", run))
        elif step.state != StepState.SENT and mark is not None:
            yield Finding(
                "disagreement",
                id,
                f"its row has a mark, and it is {step.state}",
                "clear the mark in Notion, or skip the step",
            )

    def _emails(self, one: EnrollmentRecord, rows: Index) -> Iterator[Finding]:
        for step in one.enrollment.steps:
            id = ids.email_id(one.enrollment.id, step.number)
            if step.state not in _LOGGED or self._waits("email", id):
                continue
            found = rows.get(id)
            if not found:
                yield Finding("gap", id, "the email has no row in Notion's log", tell=("email", id))
            elif (found[0].text("Status") or "").lower() not in _LOGGED[step.state]:
                message = f"it is {step.state}, and its row in the log says {found[0].text('Status')}"
                yield Finding("disagreement", id, message, tell=("email", id))


def _twice(rows: Index) -> Iterator[Finding]:
    for found in rows.values():
        for extra in found[1:]:
            yield Finding(
                "duplicate",
                extra.id,
                f"another row of the {extra.source.title} is the same",
                "delete one of the two in Notion",
            )


def _strangers(rows: Index, known: set[str]) -> Iterator[Finding]:
    """Enrollments that are active by their row, but unknown to the ledger."""
    for id, found in rows.items():
        if id not in known and (found[0].text("Status") or "").lower() in _OPEN:
            yield Finding(
                "gap",
                id,
                f"its row says {found[0].text('Status')}, and the ledger does not know it",
                "evergreen restore",
            )
