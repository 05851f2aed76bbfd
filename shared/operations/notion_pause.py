"""Pause, ticked or cleared by the owner in Notion's tracker.

Only a change of the tick acts, and never on a stale answer alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.core import log
from shared.core.errors import ActionError, NotionError
from shared.core.settings import Settings
from shared.integrations.notion import Notion
from shared.integrations.notion_values import plain
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.ledger.notion_ticks import NotionTicks
from shared.notion import schema
from shared.notion.data_sources import locate
from shared.notion.schema import TRACKER
from shared.operations.enrollment_actions import EnrollmentActions

_logger = log.logger("notion-pause")


@dataclass
class NotionPause:
    """Looks for ticks that changed since the last poll.

    Attributes:
        ledger: remembers which rows were ticked.
        actions: pauses and resumes.
        settings: name the tracker and its columns.
        notion: the workspace.
    """

    ledger: Ledger
    actions: EnrollmentActions
    settings: Settings
    notion: Notion
    _source: str = field(default="")

    @property
    def _ticks(self) -> NotionTicks:
        return NotionTicks(self.ledger)

    def poll(self) -> int:
        """Act on every change; returns how many there were.

        While this copy of the ledger may not send, another copy handles the ticks.

        Raises:
            NotionError: when Notion does not answer.
        """
        if FenceState(self.ledger).refusal() is not None:
            return 0
        self._source = self._source or locate(self.notion, TRACKER, self.settings)
        pause, id_name = (
            schema.own_name(name, TRACKER, self.settings.notion_property_names) for name in ("Pause", "Enrollment ID")
        )
        columns = self.notion.schema(self._source)
        if pause not in columns or id_name not in columns:
            return 0  # `evergreen notion check` says so
        is_checkbox = columns[pause].type == "checkbox"
        self._ticks.begin(columns[pause].id if is_checkbox else "")  # a lost tick is not a cleared one
        if not is_checkbox:
            return 0
        rows = self.notion.pages(self._source, {"property": pause, "checkbox": {"equals": True}})
        ticked = {run: str(row["id"]) for row in rows if (run := plain(row["properties"].get(id_name)))}
        known = self._ticks.known()
        came = [run for run, page in ticked.items() if run not in known and self._is_ticked(page, pause)]
        gone = [run for run in known - set(ticked) if self._is_cleared(run, pause)]
        for run in came:
            self._steer(run, self.actions.pause)
            self._ticks.add(run)
        for run in gone:
            self._steer(run, self.actions.resume)
            self._ticks.remove(run)
        return len(came) + len(gone)

    def _is_ticked(self, page: str, pause: str) -> bool:
        """The value on the page itself: a query may lag behind."""
        found = self.notion.page(page)
        return bool(found["properties"].get(pause, {}).get("checkbox")) and not found.get("in_trash")

    def _is_cleared(self, run: str, pause: str) -> bool:
        """Whether the owner cleared the tick; deleting the row does not resume."""
        page = self._ticks.page(run)
        if not page:
            self._ticks.remove(run)
            return False
        try:
            found = self.notion.page(page)
        except NotionError as error:
            if error.kind != "gone":
                raise
            found = {"in_trash": True}
        if found.get("in_trash"):
            self._ticks.remove(run)
            return False
        return found["properties"].get(pause, {}).get("checkbox") is False  # not a column that is missing

    def _steer(self, run: str, decide: Callable[[str], str]) -> None:
        try:
            decide(run)
        except ActionError as error:  # already done, or the enrollment is over
            _logger.info("tick.without_effect", enrollment=run, why=str(error))
