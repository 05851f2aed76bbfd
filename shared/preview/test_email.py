"""A test email: an email as it goes out now, for a sample person and sent to the owner."""

from __future__ import annotations

import uuid

from shared import services
from shared.core.settings import Settings
from shared.domain import sample_person
from shared.domain.addresses import to_ascii
from shared.domain.catalog import Catalog
from shared.domain.segments import Segment
from shared.emails.rendering import Email
from shared.emails.template_store import Key, Templates


def sample(key: Key, segment: Segment, *, templates: Templates, catalog: Catalog, settings: Settings) -> Email:
    """An email for a sample person of a segment.

    Args:
        key: campaign and template id.
        segment: the person's.
        templates: the texts.
        catalog: says whether the email has an unsubscribe link.
        settings: the sender.
    """
    link = f"{settings.public_url}/unsubscribe" if catalog.campaigns[key[0]].kind == "marketing" else None
    values = sample_person.values(segment, booking_url=settings.booking_url, sender_name=settings.business_name)
    return templates[key].render(values, unsubscribe_url=link)


def send_test(email: Email, address: str, settings: Settings) -> str:
    """Send a test, marked as one; returns the provider's id.

    Args:
        email: the email to send.
        address: the recipient.
        settings: resend_api_key and resend_from_email must be set.

    Raises:
        SendError: if it was not, or may not have been, accepted.
    """
    request = {
        "from": to_ascii(settings.resend_from_email),
        "to": [to_ascii(address)],
        "subject": f"[Test] {email.subject}",
        "html": email.html,
        "text": email.text,
    }
    return services.resend().send(request, key=f"test-{uuid.uuid4().hex}").ids[0]
