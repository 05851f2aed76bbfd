"""The enrollments that verifying compares, each with its contact, read from the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.domain.enrollments import Contact, Enrollment
from shared.ledger.client import Ledger
from shared.ledger.listing import Listing
from shared.recovery.sent_list import Follow, unseen


@dataclass(frozen=True)
class EnrollmentRecord:
    """An enrollment that the ledger holds, and its contact."""

    enrollment: Enrollment
    contact: Contact

    @property
    def email(self) -> str:
        """The address."""
        return self.contact.email


def held(ledger: Ledger, follow: Follow = unseen) -> list[EnrollmentRecord]:
    """Every enrollment in the ledger of a person who was not forgotten, tracked ones too."""
    found = []
    for name in follow(Listing(ledger).every(), "Reading the ledger"):
        run = ledger.enrollment(name)
        contact = ledger.contact(run.contact) if run else None
        if run and contact and "email" in contact.fields:
            found.append(EnrollmentRecord(run, contact.within(run.values)))
    return sorted(found, key=lambda one: one.enrollment.id)


def of_contacts(ledger: Ledger, contacts: Iterable[str]) -> list[EnrollmentRecord]:
    """Every enrollment of some contacts, except forgotten ones.

    Args:
        ledger: holds them.
        contacts: their ids.
    """
    found = []
    for name in contacts:
        contact = ledger.contact(name)
        if contact and "email" in contact.fields:
            runs = map(ledger.enrollment, Listing(ledger).of_contact(name))
            found += [EnrollmentRecord(run, contact.within(run.values)) for run in runs if run]
    return found
