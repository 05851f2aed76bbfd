"""Verifying Notion: whether each item of the ledger has exactly one row there, and the two agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from shared.core.settings import Settings
from shared.domain.addresses import canonical
from shared.domain.catalog import Catalog
from shared.domain.enrollments import Enrollment, Step
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
from shared.recovery.on_disk import OnDisk
from shared.recovery.sent_list import Follow, unseen

_LOGGED = {
    StepState.SENT: ("sent", "bounced", "complained"),
    StepState.FAILED: ("failed",),
    StepState.IN_DOUBT: ("in doubt",),
}
_OPEN = ("active", "paused", "queued")


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
    _twice: list[Finding] = field(default_factory=list)

    def compare(self, everything: list[EnrollmentRecord]) -> list[Finding]:
        """Where Notion differs; raises NotionError.

        Emails go out and rows are edited while the rows are read. So what differs from the ledger as it was counts only
        if it also differs from the ledger as it is.

        Args:
            everything: the enrollments in the ledger, read beforehand.
        """
        self._pending, self._twice = Outbox(self.ledger).pending(), []
        known = {one.enrollment.id: one.enrollment for one in everything}
        addresses = {ids.digest(one.email): one.email for one in everything}
        findings = [*self._contacts(addresses), *self._enrollments(known), *self._emails(known)]
        return self._twice + findings

    def _contacts(self, addresses: Mapping[str, str]) -> Iterator[Finding]:
        seen = OnDisk()
        for _ in self._first_rows(CONTACTS, "Email", seen):
            pass  # what is in a contact's row may be the owner's
        if self.settings.notion_businessx_db_id:
            for contact, email in addresses.items():
                if not seen.get(email) and not self._waits("contact", contact):
                    yield Finding("gap", contact, "the contact has no row in Notion", tell=("contact", contact))

    def _enrollments(self, known: Mapping[str, Enrollment]) -> Iterator[Finding]:
        seen = OnDisk()
        for id, row in self._first_rows(TRACKER, "Enrollment ID", seen):
            if id in known:
                yield from self._still(known[id], partial(self._run, row=row))
            elif (row.text("Status") or "").lower() in _OPEN and self.ledger.enrollment(id) is None:
                message = f"its row says {row.text('Status')}, and the ledger does not know it"
                yield Finding("gap", id, message, "evergreen restore")
        for id, run in known.items():
            if not seen.get(id):
                yield from self._still(run, partial(self._run, row=None))

    def _emails(self, known: Mapping[str, Enrollment]) -> Iterator[Finding]:
        if not self.settings.notion_email_log_db_id:
            return
        seen = OnDisk()
        for id, row in self._first_rows(EMAIL_LOG, "Email ID", seen):
            if run := known.get(id.rpartition("-")[0]):
                yield from self._still(run, partial(self._email, id=id, row=row))
        for run in known.values():
            for step in run.steps:
                if step.state in _LOGGED and not seen.get(id := ids.email_id(run.id, step.number)):
                    yield from self._still(run, partial(self._email, id=id, row=None))

    def _first_rows(self, source: Source, key: str, seen: OnDisk) -> Iterator[tuple[str, Cells]]:
        """The first row of each value of a column, which is then seen."""
        for row in Reader(self.notion, self.settings, self.catalog, self.follow).cells(source):
            text = row.text(key) or ""
            if not (name := canonical(text) or text.strip().lower()):
                continue
            if seen.get(name):
                message = f"another row of the {source.title} is the same"
                self._twice.append(Finding("duplicate", row.id, message, "delete one of the two in Notion"))
            else:
                seen.put(name)
                yield name, row

    def _still(self, run: Enrollment, differences: Callable[[Enrollment], Iterable[Finding]]) -> list[Finding]:
        """The differences from an enrollment, if there are any from what was read of it and from what it is now."""
        now = self.ledger.enrollment(run.id) if any(differences(run)) else None
        return list(differences(now)) if now else []

    def _waits(self, kind: str, id: str) -> bool:
        return f"{kind}:{id}" in self._pending

    def _run(self, run: Enrollment, row: Cells | None) -> Iterator[Finding]:
        tell = ("enrollment", run.id)
        if self._waits(*tell):
            return
        if row is None:
            yield Finding("gap", run.id, "the run has no row in Notion", tell=tell)
            return
        status = row.text("Status")
        if status and status.lower() != run.state:
            yield Finding("disagreement", run.id, f"it is {run.state}, and its row says {status}", tell=tell)
        for step in run.steps:
            if step.number <= NUMBERED:
                yield from _mark(run.id, step, row)

    def _email(self, run: Enrollment, id: str, row: Cells | None) -> Iterator[Finding]:
        step = next((step for step in run.steps if ids.email_id(run.id, step.number) == id), None)
        if step is None or step.state not in _LOGGED or self._waits("email", id):
            return
        if row is None:
            yield Finding("gap", id, "the email has no row in Notion's log", tell=("email", id))
        elif (row.text("Status") or "").lower() not in _LOGGED[step.state]:
            message = f"it is {step.state}, and its row in the log says {row.text('Status')}"
            yield Finding("disagreement", id, message, tell=("email", id))


def _mark(run: str, step: Step, row: Cells) -> Iterator[Finding]:
    mark, id = row.instant(f"Email {step.number} Sent"), ids.email_id(run, step.number)
    if (
        step.state == StepState.SENT
        and step.sent_at is not None
        and (mark is None or abs(mark - step.sent_at) >= MINUTE)
    ):
        message = "it was sent, and its row has no mark" if mark is None else "its row has another time than the ledger"
        yield Finding("disagreement", id, message, tell=("enrollment", run))
    elif step.state != StepState.SENT and mark is not None:
        yield Finding(
            "disagreement",
            id,
            f"its row has a mark, and it is {step.state}",
            "clear the mark in Notion, or skip the step",
        )
