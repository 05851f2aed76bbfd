"""How the subject of an email reads for somebody: by it an email is found again in a list that has no tags."""

from __future__ import annotations

from dataclasses import dataclass

from shared.catalog import Catalog
from shared.composing import Templates, compose
from shared.errors import RenderingError
from shared.ledger import Item
from shared.models import Contact
from shared.settings import Settings


@dataclass(frozen=True)
class Subjects:
    """Writes subjects as they would go out now.

    Attributes:
        catalog: the campaigns.
        templates: their texts.
        settings: who sends.
    """

    catalog: Catalog
    templates: Templates
    settings: Settings

    def of(self, slug: str, step: int, contact: Contact) -> str | None:
        """The subject of a step for a contact; None where it cannot be written any more."""
        item = Item("restored", step, slug, "", contact, {})
        try:
            email = compose(item, catalog=self.catalog, templates=self.templates, settings=self.settings)
        except RenderingError:
            return None
        return str(email["subject"]) if email else None
