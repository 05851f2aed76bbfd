"""The column Proof of a contact's row: how each of its values is proved, and a mark of the value that Evergreen wrote.

A value that no longer has its mark, or that has none, was edited by the owner, and counts as proved. One from a restore
or an earlier release is unknown: neither proved nor unproved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.enrollments import Contact
from shared.integrations.notion_values import Value
from shared.ledger import ids

COLUMNS = {
    "First Name": "first_name",
    "Business Name": "business_name",
    "Assessment Score": "assessment_score",
    **{f"{color} Systems": f"{color.lower()}_systems" for color in ("Red", "Orange", "Yellow", "Green")},
}
_ENTRY = re.compile(r"([A-Z][A-Za-z ]*?): (proved|unproved|unknown|confirmed)(?: \(([0-9a-f]{4})\))?")


@dataclass(frozen=True)
class Proofs:
    """How the values of a row are proved.

    Attributes:
        proved, unproved: the names of the ledger's fields; one that is in neither came without proof.
        confirmed: whether the owner of the mailbox has confirmed the address.
        consent: how the consent is proved; None if the row does not say.
    """

    proved: set[str] = field(default_factory=set)
    unproved: set[str] = field(default_factory=set)
    confirmed: bool = False
    consent: str | None = None


def written(contact: Contact, values: Mapping[str, Value]) -> str | None:
    """What the column says; None if nothing is known about any value.

    Args:
        contact: the contact.
        values: its row, by Evergreen's column names.
    """
    fields = contact.fields
    columns = {"Email": "email", "Name": "name" if "name" in fields else "first_name"} | COLUMNS
    found = {column: _rank(contact, name) for column, name in columns.items() if values.get(column) is not None}
    if "confirmed_at" in fields:
        found["Email"] = "confirmed"
    entries = [f"{column}: {rank} ({_mark(values[column])})" for column, rank in found.items()]
    if "consent_proof" in fields:
        entries.append(f"Consent: {fields['consent_proof']}")
    return ", ".join(entries) or None


def read(text: str | None, cells: Mapping[str, str]) -> Proofs:
    """How the values of a row are proved.

    Args:
        text: what the column says; None if there is no such column.
        cells: the row's values as text, by Evergreen's column names.
    """
    entries = {column: (rank, mark) for column, rank, mark in _ENTRY.findall(text or "")}
    if not entries:
        return Proofs()
    (email, _), (consent, _) = entries.get("Email", ("", "")), entries.get("Consent", (None, ""))
    found = Proofs(confirmed=email == "confirmed", consent=consent)
    for column, name in ({"Email": "email", "Name": "name"} | COLUMNS).items():
        rank, mark = entries.get(column, ("proved", ""))
        if column in cells and (rank == "proved" or mark != _mark(cells[column])):
            found.proved.add(name)
        elif column in cells and rank == "unproved":
            found.unproved.add(name)
    return found


def _rank(contact: Contact, name: str) -> str:
    ranks = ("proved", "unproved")
    return next((rank for rank in ranks if name in contact.fields.get(rank, "").split(",")), "unknown")


def _mark(value: object) -> str:
    return ids.digest(str(value))[:4]
