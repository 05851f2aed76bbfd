"""The email of a step, as the provider takes it: its template, values, headers and tags."""

from __future__ import annotations

from typing import Any

from shared.core.errors import RenderingError
from shared.core.settings import Settings
from shared.domain import names
from shared.domain.addresses import to_ascii
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Contact
from shared.emails.template_store import Templates
from shared.ledger import ids
from shared.ledger.claims import Item
from shared.sending import unsubscribe_link

_NAMES = ("name", "first_name", "business_name")


def compose(item: Item, *, catalog: Catalog, templates: Templates, settings: Settings) -> dict[str, Any] | None:
    """Write the request for one claimed step; the same step always gives the same bytes while its texts and values stay
    the same.

    Returns:
        The request in Resend's form, or None if the campaign no longer has the step.

    Raises:
        RenderingError: if the template cannot be filled.
    """
    campaign = catalog.campaigns.get(item.slug)
    step = campaign.step(item.step) if campaign else None
    if campaign is None or step is None:
        return None
    contact = item.contact.within(item.values)
    if "email" not in contact.fields:
        raise RenderingError("the contact no longer has an address")
    link = None
    if campaign.kind == "marketing":
        link = unsubscribe_link.link(
            ids.digest(contact.email), key=settings.unsubscribe_key, public_url=settings.public_url
        )
    template = templates[campaign.slug, step.template_for(contact.segment)]
    values = _values(_printable(contact, campaign), item, settings)
    email = template.render(values, unsubscribe_url=link)
    request: dict[str, Any] = {
        "from": to_ascii(settings.resend_from_email),
        "to": [to_ascii(contact.email)],
        "subject": email.subject,
        "html": email.html,
        "text": email.text,
        "tags": [
            {"name": "email_id", "value": item.id},
            {"name": "campaign", "value": campaign.slug},
            {"name": "request_id", "value": item.request_id or "none"},
        ],
    }
    if link:
        request["headers"] = {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    if settings.resend_reply_to:
        request["reply_to"] = to_ascii(settings.resend_reply_to)
    return request


def _printable(contact: Contact, campaign: Campaign) -> Contact:
    """The contact without names that nothing proves, in a transactional email to a person whose name is proved."""
    if campaign.kind != "transactional" or not contact.proves("name", "first_name"):
        return contact
    fields = contact.fields.items()
    return Contact({name: text for name, text in fields if name not in _NAMES or contact.proves(name)})


def _values(contact: Contact, item: Item, settings: Settings) -> dict[str, str]:
    """What fills the template's placeholders: the settings', the contact's, and above these the webhook's values."""
    known = {"booking_url": settings.booking_url, **contact.fields, **item.values}
    if called := names.called(known.pop("first_name", ""), known.get("name", "")):
        known["first_name"] = called
    return known | {"segment": contact.segment, "sender_name": settings.business_name}
