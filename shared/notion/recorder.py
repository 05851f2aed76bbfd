"""Recording: writes the outbox to Notion. Email comes first: nothing here delays, blocks or repeats one.

A copy of the ledger that may not send does not write either: the rows may be all that survives a loss.

Each thing (contact, enrollment, email) has one page. Its current state is written, so that ten changes become one call.
Notion has no unique keys and may save a write that it answers with an error, so a page is looked up by its key before
it is created again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core import log
from shared.core.errors import NotionError
from shared.core.settings import Settings
from shared.domain.addresses import spellings
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Contact, Enrollment
from shared.integrations.notion import Notion
from shared.integrations.notion_values import Value, plain
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.outbox import UNSURE, Entry, Outbox
from shared.ledger.pacing import Pacer
from shared.notion import row_values
from shared.notion.data_sources import locate
from shared.notion.recorded_page import Page
from shared.notion.schema import CONTACTS, EMAIL_LOG, TRACKER, Source

SHORT, LONG = 0.5, 10.0  # seconds without calls to Notion after a fault, doubled with each further one
STAY_FOR = 2.0  # seconds of that a recorder waits itself; after a longer pause it is called again
REFUSED_AFTER = 30  # seconds until a page that Notion refused is tried again; doubled each time
_logger = log.logger("recorder")


@dataclass
class Recorder:
    """What recording needs. Without Notion it only empties the outbox; `fenced`: whether the fence must be
    confirmed."""

    ledger: Ledger
    catalog: Catalog
    settings: Settings
    notion: Notion | None
    pacer: Pacer
    fenced: bool = False
    _sources: dict[str, str] = field(default_factory=dict)
    _faults: int = 0

    def drain(self, seconds: float) -> int:
        """Record what is ready, for at most this many seconds; returns how many items."""
        outbox = Outbox(self.ledger)
        if not self.notion:
            return outbox.empty()
        deadline, done = time.monotonic() + seconds, 0
        while time.monotonic() < deadline and (entry := outbox.take(fenced=self.fenced)):
            try:
                self._record(entry, outbox, self.notion)
            except NotionError as error:
                if self._put_back(entry, outbox, error):
                    return done
            else:
                outbox.recorded(entry)
                self._faults = 0
                done += 1
        return done

    def _put_back(self, entry: Entry, outbox: Outbox, error: NotionError) -> bool:
        """Keep an item for later; returns whether to leave Notion alone for longer than a recorder waits."""
        if error.kind in ("refused", "gone", "trashed"):
            failures = outbox.failed(entry, REFUSED_AFTER)
            _logger.error("record.refused", thing=entry.member, why=error.reason, failures=failures)
            Alerts(self.ledger).report("record", f"{entry.member}: {error.reason}")
            return False
        if error.kind == "denied":
            Alerts(self.ledger).report("record", error.reason)
        outbox.give_back(entry)
        wait = error.retry_after or min(SHORT * 2**self._faults, LONG)
        self._faults += 1
        self.pacer.hold(wait)
        _logger.warning("notion.unavailable", why=error.reason, wait=wait, faults=self._faults)
        return wait > STAY_FOR

    def _record(self, entry: Entry, outbox: Outbox, notion: Notion) -> None:
        if entry.kind == "contact":
            if contact := self._contact(entry.id):
                self._record_contact(self._page(entry, outbox, notion, CONTACTS), contact)
            return
        enrollment, number = (entry.id, 0) if entry.kind == "enrollment" else ids.parse_email_id(entry.id)
        run = self.ledger.enrollment(enrollment)
        contact = self._contact(run.contact) if run else None
        if not run or not contact:
            return  # the person has since been forgotten
        campaign = self.catalog.campaigns.get(run.slug)
        if entry.kind == "enrollment":
            self._record_run(self._page(entry, outbox, notion, TRACKER), run, contact, campaign)
        else:
            values = row_values.email_values(run, run.step(number), contact, campaign)
            self._record_email(self._page(entry, outbox, notion, EMAIL_LOG), values)

    def _contact(self, id: str) -> Contact | None:
        contact = self.ledger.contact(id)
        return contact if contact and "email" in contact.fields else None

    def _page(self, entry: Entry, outbox: Outbox, notion: Notion, kind: Source) -> Page | None:
        """The item's page; None if the owner has no data source for it, and nothing is written."""
        setting = str(getattr(self.settings, kind.setting))
        if not setting:
            return None
        if setting not in self._sources:
            self._sources[setting] = locate(notion, kind, self.settings)
        return Page(entry, outbox, notion, self._sources[setting], kind, self.settings.notion_property_names)

    def _record_contact(self, page: Page | None, contact: Contact) -> None:
        if not page:
            return
        known = page.known()
        if known is None or known == UNSURE:
            found = (page.find({"Email": spelling}) for spelling in spellings(contact.email))
            known = next(filter(None, found), None)
        page.write(known, row_values.contact_values(contact, new=False), row_values.contact_values(contact, new=True))

    def _record_run(self, page: Page | None, run: Enrollment, contact: Contact, campaign: Campaign | None) -> None:
        if not page:
            return
        values = row_values.tracker_values(run, contact, campaign)
        known = page.known()
        if known is None or known == UNSURE:
            known = _find_run(page, run, values, adopts=campaign is None or campaign.reentry != "per-event")
        page.write(known, values, values)

    def _record_email(self, page: Page | None, values: Mapping[str, Value]) -> None:
        if not page:
            return
        known = page.known()
        if known == UNSURE:
            known = page.find({"Email ID": str(values["Email ID"])})
        page.write(known, values, values)


def _find_run(page: Page, run: Enrollment, values: Mapping[str, Value], *, adopts: bool) -> str | None:
    """The row of this enrollment; or one from an earlier build, of the same person and campaign, that no enrollment
    claims yet."""
    unclaimed, campaign = None, str(values["Campaign"]).replace(",", " ").casefold()
    for row in page.find_all({"Email": str(values["Email"])}):
        claimed_by, of = (plain(row["properties"].get(page.own_name(name))) for name in ("Enrollment ID", "Campaign"))
        if claimed_by == run.id:
            return str(row["id"])
        same = (of or "").replace(",", " ").casefold() == campaign
        if not claimed_by and adopts and same and unclaimed is None:
            unclaimed = str(row["id"])
    return unclaimed
