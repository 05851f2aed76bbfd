"""Pushes the template files to Notion, a row and a page each, and keeps what the owner has edited since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from shared.core.errors import CampaignError, NotionError
from shared.core.settings import Settings
from shared.domain import sample_person
from shared.domain.catalog import Catalog
from shared.emails.rendering import Email
from shared.emails.template_store import Key, compile_source, name_of
from shared.integrations.notion import Notion
from shared.integrations.notion_values import Column, Value
from shared.ledger.template_texts import TemplateTexts
from shared.notion.data_sources import locate
from shared.notion.markdown import to_notion
from shared.notion.schema import TEMPLATES, fitting, own_name, usable_key
from shared.notion.template_rows import Row, key_of, rows, source_of

KEPT = "edited in Notion; --force overwrites it with the file"


@dataclass(frozen=True)
class Pushed:
    """The result for a template: `created`, `updated`, `unchanged`, or `kept` with the owner's edits."""

    name: str
    what: Literal["created", "updated", "unchanged", "kept"]
    why: str = ""

    @property
    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


@dataclass
class Pusher:
    """What pushing needs.

    Attributes:
        notion: the workspace.
        catalog: the campaigns; their files are pushed.
        settings: name the owner's database and columns.
        last_good: stores what was pushed.
        force: overwrite the owner's edits too.
        dry_run: only report what would be done.
    """

    notion: Notion
    catalog: Catalog
    settings: Settings
    last_good: TemplateTexts
    force: bool = False
    dry_run: bool = False

    def push(self) -> Iterator[Pushed]:
        """Push the templates one by one; raises NotionError, and continues where it stopped when called again."""
        source = locate(self.notion, TEMPLATES, self.settings)
        columns = self.notion.schema(source)
        if not usable_key(TEMPLATES, columns, self.settings.notion_property_names):
            raise NotionError("refused", "a column of Templates is missing; run `evergreen notion check`")
        there: dict[Key, Row] = {}
        for row in rows(self.notion, source, self.settings):
            try:
                key = key_of(row, self.catalog)
            except CampaignError:
                continue  # a note of the owner's; `templates pull` reports it
            if key not in there or (row.live and not there[key].live):
                there[key] = row
        pushed = self.last_good.pushed()
        for key in self.catalog.sources:
            yield self._push(key, there.get(key), source, columns, pushed.get(name_of(key)))

    def _push(
        self, key: Key, row: Row | None, source: str, columns: Mapping[str, Column], digest: str | None
    ) -> Pushed:
        name, text = name_of(key), self.catalog.sources[key]
        if row:
            now = self._source(row)
            if self._looks(now, key) == self._looks(text, key):
                return Pushed(name, "unchanged")
            if _digest(now) != digest and not self.force:
                return Pushed(name, "kept", KEPT)
        if not self.dry_run:
            self.last_good.push(name, _digest(self._write(key, row, source, columns)))
        return Pushed(name, "updated" if row else "created")

    def _write(self, key: Key, row: Row | None, source: str, columns: Mapping[str, Column]) -> str:
        """Write a file to its row; returns its source as Notion returns it."""
        headers, _, body = self.catalog.sources[key].replace("\r\n", "\n").partition("\n\n")
        given = dict(line.split(": ", 1) for line in headers.split("\n"))
        values: dict[str, Value] = {"Subject": given["Subject"].strip(), "Preview": given.get("Preview", "").strip()}
        if row is None:
            values |= {"Template ID": key[1], "Campaign": self.catalog.campaigns[key[0]].name, "Status": "Live"}
        names = self.settings.notion_property_names
        known = fitting(values, TEMPLATES, columns, names)
        if values["Preview"] and own_name("Preview", TEMPLATES, names) not in known:
            body = f"Preview: {values['Preview']}\n\n{body}"
        if row is None:
            page = self.notion.create(source, known, to_notion(body))
        else:
            page = row.page
            self.notion.rewrite(page, to_notion(body))
            self.notion.update(page, source, known)
        return source_of(
            Row(page, subject=str(values["Subject"]), preview=str(values["Preview"])), self.notion.markdown(page)
        )

    def _source(self, row: Row) -> str:
        """A row's source; "" if it has none."""
        try:
            return source_of(row, self.notion.markdown(row.page))
        except CampaignError:
            return ""

    def _looks(self, source: str, key: Key) -> Email | str:
        """A source rendered for comparison; the source itself if it is not a valid template."""
        values = sample_person.values("URGENT", booking_url="https://example.org", sender_name="")
        try:
            return compile_source(source, key, self.catalog, self.settings).render(values, unsubscribe_url=None)
        except CampaignError:
            return source


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
