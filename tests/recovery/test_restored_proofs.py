"""After a loss, what a person proved is still proved, and what a stranger typed is still only typed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.enrollments import Contact
from shared.domain.forms import SignUp
from shared.domain.visitors import Visitor
from shared.intake import enrolling
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.lost_ledger import LostLedger
from tests.support.sandbox_server import Sandbox, sandbox
from tests.support.world import ADA

ADDRESS = str(ADA["email"])
CONTACT = ids.digest(ADDRESS)


@pytest.fixture
def box(clock: Clock) -> Iterator[Sandbox]:
    with sandbox(clock=lambda: clock.now / 1000) as running:
        yield running


@pytest.fixture
def lost(ledger: Ledger, clock: Clock, box: Sandbox) -> LostLedger:
    return LostLedger(ledger, clock, box)


def stranger(lost: LostLedger, **form: Any) -> None:
    """A stranger posts a form with Ada's address."""
    intake = replace(lost.world.intake, visitor=Visitor("192.0.2.7", ("192.0.2.7/32",)))
    given = SignUp.model_validate({"email": ADDRESS} | form)
    enrolling.sign_up(given, trigger="christmas-signup", intake=intake)


def restored(lost: LostLedger) -> Contact:
    """Ada, after everything was recorded, lost and restored."""
    lost.record()
    lost.lose()
    lost.restore()
    lost.world.live(1)
    found = lost.ledger.contact(CONTACT)
    assert found
    return found


def test_ranks_survive(lost: LostLedger) -> None:
    """A stranger changes after the loss what a stranger had typed, and nothing that Ada had proved."""
    lost.world.sign_up()
    stranger(lost, business_name="Engines")
    restored(lost)
    stranger(lost, first_name="Eve", business_name="Looms", assessment_score=1)
    found = lost.ledger.contact(CONTACT)
    assert found and found.fields["first_name"] == "Ada" and found.fields["business_name"] == "Looms"
    assert found.fields["assessment_score"] == str(ADA["assessment_score"])
    assert found.claimed == {"first_name": "Eve", "assessment_score": "1"}


def test_an_owners_edit_counts_as_proved(lost: LostLedger) -> None:
    """What the owner corrected in Notion before the loss, no form changes afterwards."""
    stranger(lost, assessment_score=45, business_name="Engnies")
    lost.record()
    (row,) = lost.rows("contacts")
    source = next(iter(lost.notion.data_sources(lost.settings.notion_businessx_db_id)))
    lost.notion.update(row["id"], source, {"Business Name": "Engines"})
    lost.lose()
    lost.restore()
    lost.world.live(1)
    stranger(lost, business_name="Looms")
    found = lost.ledger.contact(CONTACT)
    assert found and found.fields["business_name"] == "Engines" and found.proves("business_name")


def test_without_the_column_nothing_is_overridden_nor_proved(lost: LostLedger) -> None:
    """The owner's database has no Proof: a restored value stays as it is, and counts as neither."""
    stranger(lost, assessment_score=45, first_name="Ada")
    lost.record()
    (row,) = lost.rows("contacts")
    source = next(iter(lost.notion.data_sources(lost.settings.notion_businessx_db_id)))
    lost.notion.update(row["id"], source, {"Proof": None})
    lost.lose()
    lost.restore()
    lost.world.live(1)
    stranger(lost, first_name="Eve")
    found = lost.ledger.contact(CONTACT)
    assert found and found.fields["first_name"] == "Ada" and not found.proves("first_name")


def test_an_unsubscribe_is_lifted_by_no_form_after_a_loss(lost: LostLedger) -> None:
    """The stranger's consent waits for the owner of the mailbox."""
    lost.world.sign_up()
    lost.world.live(1)
    lost.ledger.suppress(CONTACT, "unsubscribed")
    assert "unsubscribed" in restored(lost).fields
    stranger(lost, assessment_score=45, consent=True)
    found = lost.ledger.contact(CONTACT)
    assert found and "unsubscribed" in found.fields
