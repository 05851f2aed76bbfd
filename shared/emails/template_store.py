"""The texts of the emails: for each template, the last good one from Notion, or the file if there never was one.

The scheduler polls Notion and writes the last good texts to the ledger (`shared/ledger/template_texts.py`); sending
reads them there and never asks Notion. A name is `<campaign>/<template id>`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from redis.exceptions import RedisError

from shared.core import log
from shared.core.errors import CampaignError, RenderingError
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.emails.page import Brand
from shared.emails.rendering import Email, Template, compile_template
from shared.ledger.client import Ledger
from shared.ledger.redis_errors import explained
from shared.ledger.template_texts import TemplateTexts

REFRESH = 3.0  # seconds that a process waits before it asks Redis again

Key = tuple[str, str]
Templates = Mapping[Key, Template]
_logger = log.logger("templates")


def name_of(key: Key) -> str:
    """A template's name, `<campaign>/<template id>`."""
    return "/".join(key)


def compile_source(source: str, key: Key, catalog: Catalog, settings: Settings) -> Template:
    """Compile a template's source for its campaign; raises CampaignError with file, line and reason."""
    brand = Brand(settings.business_name, settings.postal_address, settings.brand_color, settings.brand_logo_url)
    return compile_template(source, name=f"{name_of(key)}.md", brand=brand, reason=catalog.campaigns[key[0]].reason)


def compile_templates(catalog: Catalog, settings: Settings) -> Templates:
    """Compile the file of every template of every campaign.

    Raises:
        CampaignError: for the first faulty file, with file, line and reason.
    """
    return {key: compile_source(source, key, catalog, settings) for key, source in catalog.sources.items()}


@dataclass(frozen=True)
class _Edited(Template):
    """The owner's text, or the file's for a contact who lacks a value that the owner's text needs."""

    file: Template

    def render(self, values: Mapping[str, object], *, unsubscribe_url: str | None) -> Email:
        """As Template.render."""
        try:
            return super().render(values, unsubscribe_url=unsubscribe_url)
        except RenderingError as error:
            _logger.warning("template.unfilled", why=str(error))
            return self.file.render(values, unsubscribe_url=unsubscribe_url)


class Store(Mapping[Key, Template]):
    """Every template as it goes out now.

    A change in Redis shows within REFRESH seconds; without Redis the texts stay as they are.

    Args:
        catalog: the campaigns; their files are the fallback.
        settings: the sender.
        ledger: where the last good texts are stored.
        clock: returns seconds; a test can replace it.

    Raises:
        CampaignError: if a file is wrong.
    """

    def __init__(
        self, catalog: Catalog, settings: Settings, ledger: Ledger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog, self._settings, self._clock = catalog, settings, clock
        self._last_good = TemplateTexts(ledger)
        self._files = compile_templates(catalog, settings)
        self._sources: dict[str, str] = {}
        self._edited: dict[Key, Template] = {}
        self._version = ""
        self._next = clock()
        self._lock = threading.Lock()

    def __getitem__(self, key: Key) -> Template:
        if self._clock() >= self._next:
            with self._lock:
                if self._clock() >= self._next:
                    self._refresh()
        return self._edited.get(key) or self._files[key]

    def edited(self, key: Key) -> bool:
        """Whether the owner's text from Notion goes out, not the file's."""
        return isinstance(self[key], _Edited)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def _refresh(self) -> None:
        self._next = self._clock() + REFRESH
        try:
            version = self._last_good.version()
            if version == self._version:
                return
            sources = self._last_good.sources()
        except RedisError as error:
            _logger.warning("templates.not_read", why=explained(error))
            return
        compiled = {key: self._compiled(key, sources[name_of(key)]) for key in self._files if name_of(key) in sources}
        self._edited = {key: template for key, template in compiled.items() if template}
        self._sources, self._version = sources, version

    def _compiled(self, key: Key, source: str) -> Template | None:
        """The template that was compiled before, or a new one; None if this release refuses a text that another one
        accepted."""
        if key in self._edited and self._sources.get(name_of(key)) == source:
            return self._edited[key]
        try:
            template = compile_source(source, key, self._catalog, self._settings)
        except CampaignError as error:
            _logger.error("template.refused", why=str(error))
            return None
        return _Edited(**vars(template), file=self._files[key])
