"""Pulls the owner's texts from Notion: valid ones become the last good texts, the others get a sentence in their row
and an alert."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from shared.core import log
from shared.core.errors import CampaignError, NotionError, masked
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.emails.template_store import Key, name_of
from shared.integrations.notion import Notion
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.notion_columns import NotionColumns
from shared.ledger.template_texts import TemplateTexts
from shared.notion.data_sources import locate
from shared.notion.schema import TEMPLATES, own_name
from shared.notion.setup_check import check_columns
from shared.notion.template_pages import Page, Pages
from shared.notion.template_rows import Row, fault_of, key_of, rows, source_of

GONE = (
    "its row is no longer in Notion; the last good text is still sent. Restore the row, or run `evergreen templates "
    "push` to create a new one"
)
_logger = log.logger("templates")


@dataclass(frozen=True)
class Verdict:
    """The result for a row.

    Attributes:
        name: the template's, or the content of Template ID if there is no such template.
        what: `adopted` (its text is sent; `changed` if that is new), `rejected`, `not live`, `unread`
            (Notion did not return it; it stays as it was).
        sentence: what is wrong.
        changed: whether something differs from the last poll.
    """

    name: str
    what: Literal["adopted", "rejected", "not live", "unread"]
    sentence: str = ""
    changed: bool = False

    @property
    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


@dataclass
class Puller:
    """What pulling texts needs; it remembers the pages it has read.

    Attributes:
        ledger: holds the last good texts and the alerts.
        catalog: the campaigns.
        settings: name the owner's database and columns.
        notion: the workspace.
    """

    ledger: Ledger
    catalog: Catalog
    settings: Settings
    notion: Notion
    _source: str = ""
    _pages: Pages = field(init=False)

    def __post_init__(self) -> None:
        self._pages = Pages(self.ledger, self.notion)

    def pull(self, progress: Callable[[int, int], None] = lambda done, of: None) -> list[Verdict]:
        """Check every row once, read the changed pages, and adopt valid texts.

        Args:
            progress: called with the number of rows done and the total.

        Raises:
            NotionError: if the rows cannot be read, a column is missing, or the token is refused.
        """
        self._source = self._source or locate(self.notion, TEMPLATES, self.settings)
        found = rows(self.notion, self._source, self.settings)
        self._require_columns()
        last_good = TemplateTexts(self.ledger)
        known = last_good.sources()
        keys, verdicts = self._assign(found)
        self._pages.begin(found)
        for row in self._pages.in_turn([row for row in found if row.page not in verdicts]):
            progress(len(verdicts), len(found))
            verdicts[row.page] = self._judge(row, keys[row.page], known, last_good)
        progress(len(found), len(found))
        self._tell(found, verdicts, last_good, self._orphans(keys, verdicts, known, last_good))
        return [verdicts[row.page] for row in found]

    def _require_columns(self) -> None:
        """Without one of the owner's columns every draft might be sent, so nothing is taken over."""
        columns, seen = self.notion.schema(self._source), NotionColumns(self.ledger).seen(self._source)
        owned = {own_name(column.name, TEMPLATES, self.settings.notion_property_names) for column in TEMPLATES.own}
        for finding in check_columns(TEMPLATES, columns, self.settings, seen):
            if finding.level == "fault" and finding.column in owned:
                raise NotionError("refused", finding.sentence)

    def _assign(self, found: list[Row]) -> tuple[dict[str, Key], dict[str, Verdict]]:
        """Each row's email, by page, and the verdicts on rows that need not be read."""
        keys: dict[str, Key] = {}
        verdicts: dict[str, Verdict] = {}
        live: set[Key] = set()
        for row in found:
            try:
                key = keys[row.page] = key_of(row, self.catalog)
            except CampaignError as error:
                what: Literal["rejected", "not live"] = "rejected" if row.live else "not live"
                verdicts[row.page] = Verdict(masked(row.template_id) or "(no Template ID)", what, masked(str(error)))
                continue
            if not row.live:
                verdicts[row.page] = Verdict(name_of(key), "not live", "set its Status to Live to send it")
            elif key in live:
                twice = "another row also has this Template ID, and that one is used; set only one of them to Live"
                verdicts[row.page] = Verdict(f"{name_of(key)} (second row)", "rejected", twice)
            else:
                live.add(key)
        return keys, verdicts

    def _judge(self, row: Row, key: Key, known: Mapping[str, str], last_good: TemplateTexts) -> Verdict:
        name = name_of(key)
        try:
            page = self._pages.read(row)
        except NotionError as error:
            if error.kind == "denied":
                raise
            if error.kind == "refused":
                return Verdict(name, "rejected", error.reason)
            return Verdict(name, "unread", error.reason)
        source, sentence = self._check(row, key, page)
        if sentence:
            return Verdict(name, "rejected", sentence)
        changed = known.get(name) != source
        if changed:
            last_good.accept(name, source)
            _logger.info("template.adopted", template=name)
        return Verdict(name, "adopted", changed=changed)

    def _check(self, row: Row, key: Key, page: Page) -> tuple[str, str]:
        """The row's source, or a sentence about its fault; computed once per text."""
        given = (row.subject, row.preview, page.body)
        if page.checked is None or page.checked[0] != given:
            try:
                source = source_of(row, page.body)
                page.checked = (given, source, fault_of(source, key, self.catalog, self.settings))
            except CampaignError as error:
                page.checked = (given, "", masked(str(error)))
        return page.checked[1:]

    def _orphans(
        self, keys: Mapping[str, Key], verdicts: Mapping[str, Verdict], known: Iterable[str], last_good: TemplateTexts
    ) -> dict[str, str]:
        """Withdraw the texts of rows that are no longer Live; returns a sentence for each missing row."""
        status: dict[str, set[str]] = {}
        for page, key in keys.items():
            status.setdefault(name_of(key), set()).add(verdicts[page].what)
        for name in known:
            if status.get(name) == {"not live"}:
                last_good.withdraw(name)
                _logger.info("template.withdrawn", template=name)
        return {
            name: GONE for name in known if name not in status and tuple(name.split("/", 1)) in self.catalog.sources
        }

    def _tell(
        self, found: Iterable[Row], verdicts: Mapping[str, Verdict], last_good: TemplateTexts, sentences: dict[str, str]
    ) -> None:
        """Write faults to the rows and to Redis, and raise an alert for new ones."""
        before = last_good.rejected()
        for row in found:
            verdict = verdicts[row.page]
            if verdict.what == "rejected":
                sentences[verdict.name] = verdict.sentence
            elif verdict.what == "unread" and verdict.name in before:
                sentences[verdict.name] = before[verdict.name]
            if verdict.what != "unread":
                self._mark(row, verdict.sentence if verdict.what == "rejected" else "")
        for name, sentence in last_good.reject(sentences).items():
            _logger.warning("template.rejected", template=name, why=sentence)
            Alerts(self.ledger).report("template", f"{name}: {sentence}")

    def _mark(self, row: Row, sentence: str) -> None:
        if row.error is None or row.error == sentence:
            return
        column = own_name("Error", TEMPLATES, self.settings.notion_property_names)
        try:
            self.notion.update(row.page, self._source, {column: sentence or None})
        except NotionError as error:
            _logger.warning("template.not_marked", why=error.reason)
