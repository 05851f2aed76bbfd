"""Reads Notion's rows: every contact, every logged email and, with `tracker_rows`, every enrollment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.core.settings import Settings
from shared.domain.addresses import canonical
from shared.domain.catalog import Catalog
from shared.domain.states import EnrollmentState
from shared.integrations.notion import Notion
from shared.ledger import ids
from shared.notion import proof_text
from shared.notion.cells import Cells
from shared.notion.data_sources import locate
from shared.notion.schema import CONTACTS, EMAIL_LOG, TRACKER, Source, own_name
from shared.recovery import tracker_rows
from shared.recovery.notion_rows import Logged, NotRestored, Person, Rows
from shared.recovery.sent_list import TRIES, Follow, unseen

_TEXTS = {"Name": "name", "First Name": "first_name", "Business Name": "business_name", "Source": "source"}
_NUMBERS = {"Assessment Score": "assessment_score"} | {
    f"{color} Systems": f"{color.lower()}_systems" for color in ("Red", "Orange", "Yellow", "Green")
}
_REASONS = ("complained", "bounced", "unsubscribed")
# The columns in which it stands that a person gets no more email, with the words for that.
_STOPS = (
    (CONTACTS, "Subscription", _REASONS),
    (TRACKER, "Status", (EnrollmentState.PAUSED, EnrollmentState.EXITED, EnrollmentState.CANCELLED)),
)
# Of two rows of one email, the first of these counts.
_LOGGED = ("bounced", "complained", "sent", "in doubt", "skipped", "failed", "retrying")
_REPORTS = {"Delivered At": "delivered", "Opened At": "opened", "Clicked At": "clicked"}


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
        rows = Rows(unwritten=self._unwritten())
        for cells in self.cells(CONTACTS):
            self._contact(cells, rows)
        for cells in self.cells(EMAIL_LOG):
            self._email(cells, rows)
        by_address = []
        for cells in self.cells(TRACKER):
            if run := tracker_rows.read(cells, self.catalog, rows):
                if run.id:
                    rows.add(run)
                else:
                    by_address.append(run)
        for run in by_address:  # merged into the enrollment that has an id, if any
            run.id = rows.id_by_address(run)
            rows.add(run)
        return rows

    def _unwritten(self) -> str:
        for source, name, words in _STOPS:
            if getattr(self.settings, source.setting):
                columns = self.notion.schema(locate(self.notion, source, self.settings))
                column = columns.get(own_name(name, source, self.settings.notion_property_names))
                if column and column.type == "status" and not all(map(column.option, words)):
                    return f"{name} of {source.title}"
        return ""

    def cells(self, source: Source) -> Iterator[Cells]:
        """The rows of a data source; none if the owner does not have it."""
        if getattr(self.settings, source.setting):
            pages = self.notion.pages(locate(self.notion, source, self.settings), tries=TRIES)
            for page in self.follow(pages, f"Reading {source.title}"):
                yield Cells(page, source, self.settings)

    def _contact(self, cells: Cells, rows: Rows) -> None:
        email = canonical(cells.text("Email") or "")
        if not email:
            rows.left.append(NotRestored(cells.id, "the contact has no valid address"))
            return
        person = rows.people.setdefault(ids.digest(email), Person({"email": email}, page=cells.id))
        person.fields = _fields(cells, email) | person.fields  # the oldest of duplicate rows takes precedence
        reasons = (person.reason, (cells.text("Subscription") or "").lower())
        person.reason = next((reason for reason in _REASONS if reason in reasons), None)

    def _email(self, cells: Cells, rows: Rows) -> None:
        id, state = cells.text("Email ID") or "", (cells.text("Status") or "").lower()
        if not re.fullmatch(r".+-\d+-\d+", id) or state not in _LOGGED:
            rows.left.append(NotRestored(cells.id, "the row of the email log has no valid Email ID or Status"))
            return
        known = rows.logged(id)
        if known and _LOGGED.index(known.state) <= _LOGGED.index(state):
            return
        rows.add_email(id, _logged(cells, state))


def _fields(cells: Cells, email: str) -> dict[str, str]:
    """A contact's fields as the ledger keeps them, without the address."""
    found = {name: text for column, name in _TEXTS.items() if (text := cells.text(column)) and canonical(text) != email}
    for column, name in _NUMBERS.items():
        text = cells.text(column) or ""
        if re.fullmatch(r"\d+(\.0+)?", text):
            found[name] = text.partition(".")[0]
    if (last := cells.instant("Last Email Sent")) is not None:
        found["last_sent"] = str(last)
    if cells.text("Consent") not in (None, "False"):
        found["consent_at"] = str(cells.created)
    return found | _proofs(cells, email, found)


def _proofs(cells: Cells, email: str, found: Mapping[str, str]) -> dict[str, str]:
    """How the fields are proved, as the ledger keeps it; without the column Proof, none is."""
    texts = {column: found[name] for column, name in (_TEXTS | _NUMBERS).items() if name in found}
    proofs = proof_text.read(cells.text("Proof"), {"Email": email} | texts)
    kept = {"proved": proofs.proved, "unproved": proofs.unproved}
    ranks = {rank: f",{','.join(sorted(names))}," for rank, names in kept.items() if names}
    if proofs.confirmed:
        ranks["confirmed_at"] = str(cells.created)
    if proofs.consent and "consent_at" in found:
        ranks["consent_proof"] = proofs.consent
    return ranks


def _logged(cells: Cells, state: str) -> Logged:
    """An email of the log: one that bounced or was complained about was sent."""
    reports = {name: at for column, name in _REPORTS.items() if (at := cells.instant(column)) is not None}
    sent_at = cells.instant("Sent At")
    if state in ("bounced", "complained"):
        reports, state = reports | ({} if sent_at is None else {state: sent_at}), "sent"
    return Logged(
        state, cells.id, sent_at, cells.text("Resend ID"), cells.text("Sent By"), cells.text("Error"), reports
    )
