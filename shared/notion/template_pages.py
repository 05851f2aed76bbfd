"""The pages of templates in Notion: each is read when it was edited, and again as long as an edit may be hidden."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.core.errors import NotionError
from shared.integrations.notion import Notion
from shared.ledger.client import Ledger
from shared.notion.template_rows import Row

SETTLED_AFTER = 65_000  # milliseconds: `last_edited_time` has minute precision, so a page may change unseen within it
READ_AGAIN = 9  # pages reread per poll for that reason, so that a poll takes seconds even after many changes


@dataclass
class Page:
    """A page that was read.

    Attributes:
        edited: when it was last edited, according to Notion.
        since: when that edit was first seen, in milliseconds since 1970 UTC.
        read: when it was read.
        body: in Notion's Markdown.
        checked: the subject, preview and body that were checked, and the resulting source and sentence.
    """

    edited: str
    since: int
    read: int
    body: str
    checked: tuple[tuple[str, str, str], str, str] | None = None


@dataclass
class Pages:
    """The pages that have been read.

    Attributes:
        ledger: gives the time.
        notion: the workspace.
    """

    ledger: Ledger
    notion: Notion
    _pages: dict[str, Page] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)
    _again: int = 0

    def begin(self, found: list[Row]) -> None:
        """Begin a poll; the pages of other rows are forgotten."""
        self._pages = {row.page: self._pages[row.page] for row in found if row.page in self._pages}
        self._again = READ_AGAIN

    def in_turn(self, ready: list[Row]) -> list[Row]:
        """Edited pages come first, latest first; a page that could not be read must not hold them up."""
        ready = sorted(ready, key=lambda row: known.read if (known := self._known(row)) else 0)
        ready.sort(key=lambda row: row.edited, reverse=True)
        return sorted(ready, key=lambda row: (row.page in self._failed, self._known(row) is not None))

    def read(self, row: Row) -> Page:
        """The page of a row, read again as long as it may have changed; raises NotionError."""
        try:
            page = self._current(row)
        except NotionError as error:
            if error.kind not in ("denied", "refused"):
                self._failed.add(row.page)
            raise
        self._failed.discard(row.page)
        return page

    def _current(self, row: Row) -> Page:
        page, now = self._known(row), self.ledger.now()
        if page is None:
            page = self._pages[row.page] = Page(row.edited, now, now, self.notion.markdown(row.page))
        elif page.read < page.since + SETTLED_AFTER and self._again:
            self._again -= 1
            page.body, page.read = self.notion.markdown(row.page), now
        return page

    def _known(self, row: Row) -> Page | None:
        page = self._pages.get(row.page)
        return page if page and page.edited == row.edited else None
