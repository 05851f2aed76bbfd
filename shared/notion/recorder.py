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
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Contact, Enrollment
from shared.integrations.notion import Notion, Value, plain
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.outbox import UNSURE, Entry, Outbox
from shared.ledger.pacing import Pacer
from shared.notion import schema
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
        if error.kind in ("refused", "gone"):
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
        _logger.warning("notion.away", why=error.reason, wait=wait, faults=self._faults)
        return wait > STAY_FOR

    def _record(self, entry: Entry, outbox: Outbox, notion: Notion) -> None:
        if entry.kind == "contact":
            contact = self.ledger.contact(entry.id)
            if contact and "email" in contact.fields:
                self._record_contact(_Page(entry, outbox, notion, CONTACTS), contact)
            return
        enrollment, number = (entry.id, 0) if entry.kind == "enrollment" else ids.parse_email_id(entry.id)
        run = self.ledger.enrollment(enrollment)
        contact = self.ledger.contact(run.contact) if run else None
        if not run or not contact or "email" not in contact.fields:
            return  # the person has since been forgotten
        campaign = self.catalog.campaigns.get(run.slug)
        if entry.kind == "enrollment":
            self._record_run(_Page(entry, outbox, notion, TRACKER), run, contact, campaign)
        else:
            values = schema.email_values(run, run.step(number), contact, campaign)
            self._record_email(_Page(entry, outbox, notion, EMAIL_LOG), values)

    def _record_contact(self, page: _Page, contact: Contact) -> None:
        if not (source := self._source(page)):
            return
        known = page.known()
        if known is None or known == UNSURE:
            known = page.notion.find(source, self._named({"Email": contact.email}, CONTACTS))
        self._write(
            page, source, known, schema.contact_values(contact, new=False), schema.contact_values(contact, new=True)
        )

    def _record_run(self, page: _Page, run: Enrollment, contact: Contact, campaign: Campaign | None) -> None:
        if not (source := self._source(page)):
            return
        values = schema.tracker_values(run, contact, campaign)
        known = page.known()
        if known is None or known == UNSURE:
            known = self._find_run(
                page.notion, source, run, values, adopts=campaign is None or campaign.reentry != "per-event"
            )
        self._write(page, source, known, values, values)

    def _find_run(
        self, notion: Notion, source: str, run: Enrollment, values: Mapping[str, Value], *, adopts: bool
    ) -> str | None:
        """The row of this enrollment; or one from an earlier build, of the same person and campaign, that no enrollment
        claims yet."""
        keys = {name: str(values[name]) for name in ("Email", "Campaign")}
        id_name = schema.own_name("Enrollment ID", TRACKER, self.settings.notion_property_names)
        unclaimed = None
        for row in notion.find_all(source, self._named(keys, TRACKER)):
            claimed_by = plain(row["properties"].get(id_name))
            if claimed_by == run.id:
                return str(row["id"])
            if not claimed_by and adopts and unclaimed is None:
                unclaimed = str(row["id"])
        return unclaimed

    def _record_email(self, page: _Page, values: Mapping[str, Value]) -> None:
        if not (source := self._source(page)):
            return
        known = page.known()
        if known == UNSURE:
            known = page.notion.find(source, self._named({"Email ID": str(values["Email ID"])}, EMAIL_LOG))
        self._write(page, source, known, values, values)

    def _source(self, page: _Page) -> str | None:
        """The owner's data source for these pages; None if there is none, and nothing is written."""
        setting = str(getattr(self.settings, page.kind.setting))
        if setting and setting not in self._sources:
            self._sources[setting] = page.notion.data_source(setting)
        return self._sources.get(setting)

    def _named(self, values: Mapping[str, str], kind: Source) -> dict[str, str]:
        return {
            schema.own_name(name, kind, self.settings.notion_property_names): value for name, value in values.items()
        }

    def _write(
        self, page: _Page, source: str, known: str | None, values: Mapping[str, Value], new: Mapping[str, Value]
    ) -> None:
        """Update the known page, or create one, with the values that the data source has columns for."""
        try:
            self._write_once(page, source, known, values, new)
        except NotionError as error:
            if error.kind != "refused":
                raise
            page.notion.schema(source, fresh=True)  # the owner may have renamed, added or removed a column
            self._write_once(page, source, known, values, new)

    def _write_once(
        self, page: _Page, source: str, known: str | None, values: Mapping[str, Value], new: Mapping[str, Value]
    ) -> None:
        names = self.settings.notion_property_names
        columns = page.notion.schema(source)
        missing = [
            own
            for p in page.kind.properties
            if p.required and (own := schema.own_name(p.name, page.kind, names)) not in columns
        ]
        if missing:
            raise NotionError("refused", f"{page.kind.title} has no {', '.join(missing)}; run `evergreen notion check`")

        def fitting(row: Mapping[str, Value]) -> dict[str, Value]:
            return {name: value for name, value in schema.renamed(row, page.kind, names).items() if name in columns}

        if known:
            try:
                page.notion.update(known, source, fitting(values))
                page.keep(known)
                return
            except NotionError as error:
                if error.kind != "gone":
                    raise
                _logger.warning("page.gone", thing=page.entry.member)
        page.keep(UNSURE)
        page.keep(page.notion.create(source, fitting(new)))


@dataclass(frozen=True)
class _Page:
    """The page of one item: which, where its id is stored, and its kind."""

    entry: Entry
    outbox: Outbox
    notion: Notion
    kind: Source

    def known(self) -> str | None:
        return self.outbox.page(self.entry)

    def keep(self, page: str) -> None:
        if page != self.known():
            self.outbox.keep_page(self.entry, page)
