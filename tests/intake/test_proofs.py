"""Who may change what is known of a person: a form that proves nothing fills gaps, and overrides nothing."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from shared.domain.enrollments import SCORES, Contact
from shared.emails.page import Brand
from shared.emails.rendering import compile_template
from shared.ledger import ids
from shared.ledger.claims import Item
from shared.ledger.client import Ledger
from shared.sending.composing import compose
from tests.conftest import Clock
from tests.support.strangers import ADDRESS, CONTACT, Door
from tests.support.world import World

VALUES: dict[str, tuple[Any, Any]] = {
    "first_name": ("Ada", "Eve"),
    "name": ("Ada Lovelace", "Eve Moneypenny"),
    "business_name": ("Engines", "Spies"),
    "timezone": ("Europe/London", "Asia/Tokyo"),
    "assessment_score": (45, 99),
    "red_systems": (2, 0),
    "green_systems": (3, 8),
}
TEMPLATE = compile_template(
    "Subject: Good morning\nPreview: A few words for you, and no more\n\n"
    'Hi {{ first_name | default("there") }}, {{ name | default("-") }} of {{ business_name | default("none") }}.',
    name="made-up",
    brand=Brand("Northside", "48 Mill Street, Guelph", "#1f6f54"),
    reason="You are receiving this email because you asked for it.",
)
every_field = pytest.mark.parametrize("field", VALUES)


@pytest.fixture
def door(ledger: Ledger, clock: Clock) -> Door:
    return Door(ledger, clock)


class TestRanks:
    """Proved, unproved, and neither."""

    @every_field
    def test_a_stranger_overrides_nothing_proved(self, door: Door, field: str) -> None:
        """What the operator knows stays; what the form said instead is kept for the owner."""
        proved, typed = VALUES[field]
        door.prove(**{field: proved})
        door.post("other", **{field: typed})
        assert (door.fields()[field], door.fields()[f"claimed.{field}"]) == (str(proved), str(typed))

    @every_field
    def test_a_stranger_overrides_nothing_of_unknown_rank(self, door: Door, field: str) -> None:
        """What an earlier release stored, or a restore brought back, counts as good."""
        known, typed = VALUES[field]
        door.redis.hset(ids.contact_key(CONTACT), mapping={"email": ADDRESS, field: str(known)})
        door.post(**{field: typed})
        assert (door.fields()[field], door.fields()[f"claimed.{field}"]) == (str(known), str(typed))

    def test_a_form_with_nothing_new_is_fine(self, door: Door) -> None:
        """A contact of an earlier release signs up again with the address alone."""
        door.redis.hset(ids.contact_key(CONTACT), "email", ADDRESS)
        assert door.post().outcome.what == "enrolled"
        assert not [name for name in door.fields() if name.startswith("claimed.") or name in ("proved", "unproved")]

    @every_field
    def test_it_fills_what_is_empty_or_was_unproved(self, door: Door, field: str) -> None:
        """The latest of two forms counts, and nothing is claimed."""
        earlier, later = VALUES[field]
        for value in (earlier, later):
            door.post(**{field: value})
        assert door.fields()[field] == str(later)
        assert not [name for name in door.fields() if name.startswith("claimed.")]

    @every_field
    def test_proof_overrides_everything(self, door: Door, field: str) -> None:
        """The operator's word replaces a stranger's, ends what was claimed, and is then proved."""
        proved, typed = VALUES[field]
        door.prove(**{field: proved})
        door.post("other", **{field: typed})
        door.prove(**{field: typed})
        assert door.fields()[field] == str(typed) and f"claimed.{field}" not in door.fields()
        door.post("other", **{field: proved})
        assert door.fields()[field] == str(typed)

    @pytest.mark.parametrize(("known", "typed"), [("name", "first_name"), ("first_name", "name")])
    @pytest.mark.parametrize("is_proved", [True, False])
    def test_a_name_is_one_name(self, door: Door, known: str, typed: str, is_proved: bool) -> None:
        """A person known by one form of the name gets no other from a stranger."""
        given, other = VALUES[known][0], VALUES[typed][1]
        if is_proved:
            door.prove(**{known: given})
        else:
            door.redis.hset(ids.contact_key(CONTACT), mapping={"email": ADDRESS, known: given})
        door.post("other", **{typed: other})
        assert typed not in door.fields() and door.fields()[f"claimed.{typed}"] == other

    @pytest.mark.parametrize(("typed", "proved"), [("name", "first_name"), ("first_name", "name")])
    def test_a_proved_name_replaces_a_typed_one(self, door: Door, typed: str, proved: str) -> None:
        """In either form: no email prints one part of a stranger's name and one of the person's."""
        door.post(**{typed: VALUES[typed][1]})
        door.prove("other", **{proved: VALUES[proved][0]})
        assert typed not in door.fields() and door.fields()[proved] == VALUES[proved][0]
        assert door.fields()[f"claimed.{typed}"] == VALUES[typed][1]

    def test_a_confirmed_address_proves_no_typed_text(self, door: Door) -> None:
        """The button says whose the mailbox is, not who typed the form: the next form may change it."""
        door.post("always", name="Eve Moneypenny")
        assert door.confirm()
        assert {"email", "name"} <= set(door.fields()["unproved"].split(","))
        door.post("plain", name="Ada Lovelace")
        assert door.fields()["name"] == "Ada Lovelace" and "proved" not in door.fields()

    def test_what_is_no_name_is_claimed_and_not_printed(self, door: Door) -> None:
        """A link instead of a name is shown to the owner, no matter what is known."""
        door.post(first_name="Click evil.example.com", business_name="x" * 300)
        fields = door.fields()
        assert "first_name" not in fields and "business_name" not in fields
        assert fields["claimed.first_name"] == "Click evil.example.com" and len(fields["claimed.business_name"]) == 100


def scores(door: Door, slug: str = "scored") -> dict[str, str]:
    """The scores that count in an enrollment."""
    run = door.enrollment(slug)
    assert run
    return {name: value for name, value in run.values.items() if name in SCORES}


class TestPrinted:
    """What an email prints."""

    @pytest.mark.parametrize("slug", ["onboarding", "booking-reminder", "christmas"])
    @pytest.mark.parametrize("is_proved", [True, False])
    def test_a_transactional_email_mixes_no_strangers_text_with_a_proved_name(
        self, world: World, slug: str, is_proved: bool
    ) -> None:
        """A client whose name is proved reads no business that a stranger typed; marketing says what the form said."""
        ranks = {"proved": ",first_name,", "unproved": ",business_name,name,"} if is_proved else {}
        fields = {"email": ADDRESS, "first_name": "Ada", "business_name": "Prize Office", "name": "Eve Moneypenny"}
        item = Item("x-1", 1, slug, "request-1", Contact(fields | ranks), {"red_systems": "2"})
        templates = dict.fromkeys(world.sender.catalog.sources, TEMPLATE)
        email = compose(item, catalog=world.sender.catalog, templates=templates, settings=world.settings)
        hidden = is_proved and slug != "christmas"
        assert email and ("Ada, - of none." if hidden else "Ada, Eve Moneypenny of Prize Office.") in email["text"]


class TestScores:
    """An assessment counts in the enrollment that it starts."""

    FIRST: ClassVar[dict[str, Any]] = {"assessment_score": 30, "red_systems": 3}
    SECOND: ClassVar[dict[str, Any]] = {"assessment_score": 90, "green_systems": 8}

    def test_a_strangers_scores_count_in_the_enrollment_that_they_start(self, door: Door) -> None:
        """Also beside proved ones, which stay the contact's."""
        door.prove("plain", **self.FIRST)
        door.post("scored", **self.SECOND)
        assert scores(door) == {"assessment_score": "90", "green_systems": "8"}
        assert door.fields()["assessment_score"] == "30"

    @pytest.mark.parametrize("first", ["post", "prove"])
    def test_a_retaken_assessment_counts_in_the_open_enrollment(self, door: Door, first: str) -> None:
        """Unless a proved one began it: then a stranger changes nothing."""
        getattr(door, first)("scored", **self.FIRST)
        door.post("scored", **self.SECOND)
        assert scores(door) == {
            name: str(value) for name, value in (self.SECOND if first == "post" else self.FIRST).items()
        }

    def test_a_proved_retake_always_counts(self, door: Door) -> None:
        """No matter who began it."""
        door.post("scored", **self.FIRST)
        door.prove("scored", **self.SECOND)
        assert scores(door)["assessment_score"] == "90"

    def test_an_enrollment_of_an_earlier_release_is_not_retaken_by_strangers(self, door: Door) -> None:
        """It says of no one that they began it, so it may have been proved."""
        door.prove("scored", **self.FIRST)
        run = door.enrollment("scored")
        assert run
        door.redis.hdel(ids.enrollment_key(run.id), "proof")
        door.post("scored", **self.SECOND)
        assert scores(door)["assessment_score"] == "30"

    def test_a_closed_enrollment_keeps_its_scores(self, door: Door) -> None:
        """What was sent with them stays true."""
        door.post("scored", **self.FIRST)
        run = door.enrollment("scored")
        assert run
        door.ledger.cancel(run.id, "by hand")
        door.post("scored", **self.SECOND)
        assert scores(door)["assessment_score"] == "30"
