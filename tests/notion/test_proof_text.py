"""The column Proof: how each value of a contact's row is proved, and which of them the owner has edited."""

from __future__ import annotations

import pytest

from shared.domain.enrollments import Contact
from shared.notion import proof_text, row_values
from shared.notion.proof_text import Proofs

CONTACT = Contact(
    {
        "email": "ada@example.org",
        "name": "Ada Lovelace",
        "first_name": "Countess",
        "assessment_score": "45",
        "business_name": "Engines",
        "proved": ",email,name,",
        "unproved": ",first_name,assessment_score,",
    }
)


def cells(**changes: str) -> dict[str, str]:
    """The row that Evergreen writes, as text, with the owner's edits."""
    written = row_values.contact_values(CONTACT, new=False)
    texts = {name: str(value) for name, value in written.items() if value is not None}
    return texts | {name.replace("_", " "): text for name, text in changes.items()}


def read(**changes: str) -> Proofs:
    """What a restore learns from that row."""
    row = cells(**changes)
    return proof_text.read(row["Proof"], {name: text for name, text in row.items() if name != "Proof"})


def test_our_own_words_come_back_as_they_were() -> None:
    """An echo of what Evergreen wrote is no owner's edit."""
    found = read()
    assert found.proved == {"email", "name"}
    assert found.unproved == {"first_name", "assessment_score"}


def test_what_was_without_proof_stays_without_it() -> None:
    """A value of an earlier release is neither proved nor unproved, before a loss and after it."""
    found = read()
    assert "business_name" not in found.proved | found.unproved


@pytest.mark.parametrize(
    ("column", "name"), [("First_Name", "first_name"), ("Assessment_Score", "assessment_score"), ("Name", "name")]
)
def test_an_owners_edit_is_proved(column: str, name: str) -> None:
    """Whether a form or a proof had given the value before."""
    found = read(**{column: "12"})
    assert name in found.proved and name not in found.unproved


def test_a_value_that_the_owner_added_is_proved() -> None:
    """Evergreen wrote none there."""
    assert "red_systems" in read(Red_Systems="3").proved


def test_a_confirmed_address_and_its_consent_come_back() -> None:
    """And a consent that nothing proves is known as that."""
    fields = dict(CONTACT.fields) | {"confirmed_at": "1800000000000", "consent_proof": "unproved"}
    values = row_values.contact_values(Contact(fields), new=False)
    texts = {name: str(value) for name, value in values.items() if value is not None}
    found = proof_text.read(texts["Proof"], {"Email": texts["Email"]})
    assert (found.confirmed, found.consent) == (True, "unproved")


@pytest.mark.parametrize("text", [None, "", "the owner's own notes"])
def test_without_the_column_nothing_is_proved(text: str | None) -> None:
    """Neither where there is no such column, nor where someone wrote other words there."""
    found = proof_text.read(text, cells())
    assert found == Proofs()
