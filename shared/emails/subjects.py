"""The subject of an email as a contact sees it, used to find the email in a list that has no tags."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.errors import RenderingError
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.domain.enrollments import Contact
from shared.emails.template_store import Templates


@dataclass(frozen=True)
class Subjects:
    """Writes subjects as they would go out now.

    Attributes:
        catalog: the campaigns.
        templates: their texts.
        settings: the sender.
    """

    catalog: Catalog
    templates: Templates
    settings: Settings

    def of(self, slug: str, step: int, contact: Contact) -> set[str]:
        """The subjects that a step may have for a contact, whose segment may have been different at the time."""
        campaign = self.catalog.campaigns.get(slug)
        planned = campaign.step(step) if campaign else None
        known = {
            "booking_url": self.settings.booking_url,
            "sender_name": self.settings.business_name,
            "segment": contact.segment,
        }
        found = set()
        for template in planned.templates if planned else []:
            try:
                email = self.templates[slug, template].render(
                    {**known, **contact.fields}, unsubscribe_url=self.settings.public_url
                )
            except RenderingError:
                continue  # it cannot be written for this contact, so it was not
            found.add(email.subject)
        return found
