"""The page of one thing in Notion: found, updated, or created once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.core import log
from shared.core.errors import NotionError
from shared.integrations.notion import Notion
from shared.integrations.notion_values import Column, Value
from shared.ledger.notion_columns import NotionColumns
from shared.ledger.outbox import UNSURE, Entry, Outbox
from shared.notion import schema
from shared.notion.schema import Source

_logger = log.logger("recorder")


@dataclass(frozen=True)
class Page:
    """The page of one item.

    Attributes:
        entry: which item.
        outbox: where the page's id is stored.
        notion: the workspace.
        source: the owner's data source.
        kind: what it holds.
        names: the owner's property names.
    """

    entry: Entry
    outbox: Outbox
    notion: Notion
    source: str
    kind: Source
    names: Mapping[str, str]

    def known(self) -> str | None:
        """The page's id; UNSURE if it may have been created; None if it is not stored."""
        return self.outbox.page(self.entry)

    def find_all(self, keys: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The pages with these values, by Evergreen's column names, oldest first; raises NotionError."""
        return self.notion.find_all(self.source, {self.own_name(name): value for name, value in keys.items()})

    def find(self, keys: Mapping[str, str]) -> str | None:
        """The oldest such page's id, or None; raises NotionError."""
        return self.notion.find(self.source, {self.own_name(name): value for name, value in keys.items()})

    def own_name(self, name: str) -> str:
        """The owner's name for a column."""
        return schema.own_name(name, self.kind, self.names)

    def write(self, known: str | None, values: Mapping[str, Value], new: Mapping[str, Value]) -> None:
        """Update the known page, or create one, with the values that the data source has columns for.

        Args:
            known: the page's id; None creates one.
            values: what to write to a page that exists, by Evergreen's column names.
            new: what to write to a new one.

        Raises:
            NotionError: `refused` if an essential column is missing.
        """
        try:
            self._write_once(known, values, new)
        except NotionError as error:
            if error.kind != "refused":
                raise
            self.notion.schema(self.source, fresh=True)  # the owner may have renamed, added or removed a column
            self._write_once(known, values, new)

    def _write_once(self, known: str | None, values: Mapping[str, Value], new: Mapping[str, Value]) -> None:
        self._require_key()
        if known and self._update(known, values):
            self._keep(known)
            return
        self._keep(UNSURE)
        self._keep(self.notion.create(self.source, self._fitting(new)))

    def _require_key(self) -> None:
        if not schema.usable_key(self.kind, self.notion.schema(self.source), self.names):
            essential = " and ".join(self.own_name(name) for name in self.kind.keys[0])
            raise NotionError(
                "refused", f"{self.kind.title} has no usable {essential}, so rows wait; run `evergreen notion check`"
            )

    def _update(self, page: str, values: Mapping[str, Value]) -> bool:
        """Whether the page still exists and was updated."""
        try:
            self.notion.update(page, self.source, self._fitting(values))
        except NotionError as error:
            if error.kind != "gone":
                raise
            _logger.warning("page.gone", thing=self.entry.member)
            return False
        return True

    def _fitting(self, values: Mapping[str, Value]) -> dict[str, Value]:
        columns = self.notion.schema(self.source)
        fitting = schema.fitting(values, self.kind, columns, self.names)
        left_out = {name for name, value in values.items() if value is not None and self.own_name(name) not in fitting}
        if left_out and not left_out.isdisjoint(self._wanted(columns)):
            self.outbox.incomplete(self.entry)
        return fitting

    def _wanted(self, columns: Mapping[str, Column]) -> set[str]:
        """The columns that are there, were there a short time ago, or must be, by Evergreen's names."""
        seen = NotionColumns(self.outbox.ledger).seen(self.source)
        return {
            column.name
            for column in self.kind.properties
            if column.required or column.name in seen or self.own_name(column.name) in columns
        }

    def _keep(self, page: str) -> None:
        if page != self.known():
            self.outbox.keep_page(self.entry, page)
