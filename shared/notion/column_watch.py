"""Watches the owner's databases: what keeps Evergreen from writing or reading there is reported once, and what was
recorded without a value is recorded again once it is fixed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from shared.core.errors import NotionError
from shared.core.settings import Settings
from shared.integrations.notion import Notion
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.notion_columns import NotionColumns
from shared.ledger.outbox import Outbox
from shared.notion.data_sources import locate
from shared.notion.schema import SOURCES, Source, own_name
from shared.notion.setup_check import Finding, check_source, unreadable

EVERY = 40  # seconds from check to check: each takes two requests for each database
NAMED = 5  # troubles that an alert names


@dataclass
class ColumnWatch:
    """What watching needs.

    Attributes:
        ledger: holds what was found.
        settings: name the owner's databases and columns.
        notion: the workspace.
    """

    ledger: Ledger
    settings: Settings
    notion: Notion
    _next: float = field(default=float("-inf"), init=False)
    _fixed: bool = field(default=False, init=False)  # at the last check; by the next one, recording knows the columns

    def poll(self) -> None:
        """Check everything, if the last check is long enough ago; raises NotionError when Notion does not answer, and
        then leaves what is known as it is."""
        if time.monotonic() < self._next:
            return
        self.check()
        self._next = time.monotonic() + EVERY

    def check(self) -> None:
        """Check everything now; raises NotionError when Notion does not answer."""
        found = [finding for source in SOURCES for finding in self._findings(source) if finding.level == "fault"]
        troubles = {f"{finding.source}/{finding.column}": finding.sentence for finding in found}
        known = NotionColumns(self.ledger)
        fixed = bool(known.troubles().keys() - troubles.keys())
        if new := known.judge(troubles):
            more = f" And {len(new) - NAMED} more." if len(new) > NAMED else ""
            Alerts(self.ledger).report("record", ". ".join(new[:NAMED]) + "." + more)
        if self._fixed or not troubles:
            Outbox(self.ledger).complete()
        self._fixed = fixed

    def _findings(self, source: Source) -> list[Finding]:
        if not getattr(self.settings, source.setting):
            return []
        known = NotionColumns(self.ledger)
        try:
            findings = check_source(self.notion, source, self.settings, known)
        except NotionError as error:
            if error.kind in ("busy", "unsure"):
                raise
            return [unreadable(source, error)]
        id, names = locate(self.notion, source, self.settings), self.settings.notion_property_names
        columns = self.notion.schema(id)
        owned = {column.name: own_name(column.name, source, names) for column in source.all}
        known.see(id, {name: columns[own].id for name, own in owned.items() if own in columns})
        return findings
