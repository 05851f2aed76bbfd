"""The owner of a mailbox confirms what was held: then, and only then, it is a sign-up."""

from __future__ import annotations

import pytest

from shared.domain.catalog import Catalog
from shared.domain.timing import DAY, HOUR
from shared.intake import confirming
from shared.ledger import held, ids
from shared.ledger.client import Ledger
from shared.operations import privacy
from tests.conftest import START, Clock
from tests.support.strangers import ADDRESS, CAFE, CONTACT, Door, campaign


@pytest.fixture
def door(ledger: Ledger, clock: Clock) -> Door:
    return Door(ledger, clock)


class TestDecidedThen:
    """What is decided when the button is pressed, not when the form was posted."""

    def test_the_anchor_is_the_confirmation(self, door: Door) -> None:
        """The delays of the emails count from there."""
        door.post("always")
        door.clock.advance(hours=30)
        assert door.confirm()
        run = door.enrollment("always")
        assert run and run.anchor == START + 30 * HOUR
        assert [step.due for step in run.steps] == [START + 30 * HOUR + day * DAY for day in range(3)]

    def test_also_where_the_website_sent_the_first_email(self, door: Door) -> None:
        """Its time is not the anchor: the second email waits a day from the confirmation."""
        steps = [
            {"number": 1, "after": "0h", "template": "x", "sent_by": "website-if-reported"},
            {"number": 2, "after": "24h", "template": "x"},
        ]
        door.catalog = Catalog({"always": campaign("always", confirm="always", steps=steps)}, {})
        door.post("always", email_1_status="sent", email_1_sent_at="2027-01-15T07:00:00Z")
        door.clock.advance(hours=40)
        assert door.confirm()
        run = door.enrollment("always")
        assert run and [step.state for step in run.steps] == ["sent", "scheduled"]
        assert run.step(2).due == door.clock.now + DAY

    def test_re_entry_is_decided_then(self, door: Door) -> None:
        """One that was open when the form came and is over by now may begin again; one that is open, not."""
        door.prove("again")
        first = door.enrollment("again")
        assert first
        door.post("again")
        door.ledger.cancel(first.id, "by hand")
        assert door.confirm()
        second = door.enrollment("again", number=2)
        assert second and second.state == "active"
        door.clock.advance(hours=1)
        door.post("again")
        assert door.confirm() and door.enrollment("again", number=3) is None

    def test_the_group_is_decided_then(self, door: Door) -> None:
        """A person who entered another campaign of the group meanwhile stays there."""
        door.post("nurture")
        door.post("other", CAFE)
        assert door.enrollment("other")
        assert door.confirm()
        assert door.enrollment("nurture") is None

    def test_a_bounce_since_is_respected(self, door: Door) -> None:
        """An address that is known by then to get no email is not enrolled."""
        door.post("always", consent=True)
        door.ledger.suppress(CONTACT, "bounced")
        door.confirm()
        assert door.enrollment("always") is None

    def test_a_lead_is_news_then(self, door: Door) -> None:
        """No one calls a person who may not have typed it."""
        door.post("always", assessment_score=10, red_systems=5)
        assert door.redis.zcard("eg:notices:leads") == 0
        assert door.confirm()
        assert door.redis.zrange("eg:notices:leads", 0, -1) == [f"lead:{CONTACT}"]


class TestOnce:
    """Pressing the button."""

    def test_twice_is_fine(self, door: Door) -> None:
        """The second time changes nothing, and says the same."""
        door.post("always", consent=True)
        since = held.of_contact(door.ledger, CONTACT).since
        assert door.confirm(since=since)
        before = {key: door.redis.dump(key) for key in door.redis.keys("eg:*")}
        assert door.confirm(since=since)
        assert {key: door.redis.dump(key) for key in door.redis.keys("eg:*")} == before

    def test_it_confirms_all_that_the_address_has_held(self, door: Door) -> None:
        """Two forms, one email, one button."""
        for trigger in ("always", "again"):
            door.post(trigger)
        assert door.ask() == [ADDRESS]
        assert door.confirm()
        assert door.enrollment("always") and door.enrollment("again") and door.held() == []
        assert int(door.redis.zcard("eg:held")) == 0

    def test_the_latest_form_of_a_webhook_counts(self, door: Door) -> None:
        """As it does for one that is not held."""
        door.post("always", first_name="Eve")
        door.post("always", first_name="Ada")
        assert door.confirm()
        assert door.fields()["first_name"] == "Ada"

    def test_no_later_form_takes_a_consent_back(self, door: Door) -> None:
        """A stranger cannot have the owner of the mailbox confirm less, or other words, than they agreed to."""
        door.post("always", consent=True, consent_text="Yes, please.")
        door.post("always", CAFE)
        door.post("always", CAFE, consent=True, consent_text="Yes to something else.")
        assert door.confirm()
        assert door.fields()["consent_text"] == "Yes, please."

    def test_who_has_answered_is_asked_for_the_next(self, door: Door) -> None:
        """The owner of the mailbox has answered: the next sign-up that must be confirmed gets its own email."""
        door.post("always")
        assert door.ask() == [ADDRESS] and door.confirm()
        door.clock.advance(hours=1)
        door.post("always")
        assert door.ask() == [ADDRESS]

    def test_a_second_confirmation_in_another_week(self, door: Door) -> None:
        """Who has confirmed once and is held again later is asked again, and confirms again."""
        door.post("always")
        assert door.confirm()
        door.clock.advance(hours=24 * 8)
        door.post("again")
        assert door.ask() == [ADDRESS] and door.confirm()
        assert door.enrollment("again")

    def test_typed_text_stays_unproved(self, door: Door) -> None:
        """Only the address and the consent are confirmed."""
        door.post("always", name="Eve Moneypenny", consent=True, consent_text="Yes.")
        assert door.confirm()
        known = door.fields()
        assert "name" in known["unproved"].split(",") and "proved" not in known
        assert known["consent_proof"] == "confirmed" and known["confirmed_at"] == str(door.clock.now)


class TestLinks:
    """Which links still confirm."""

    def test_what_is_held_again_within_the_week_is_confirmed_by_the_same_email(self, door: Door) -> None:
        """The mailbox gets no second one."""
        door.post("always")
        assert door.ask() == [ADDRESS]
        since = held.of_contact(door.ledger, CONTACT).since
        door.clock.advance(hours=1)
        door.post("again", CAFE)
        assert door.ask() == []
        assert door.confirm(since=since) and door.enrollment("again")

    def test_an_old_link_confirms_nothing_new(self, door: Door) -> None:
        """What was held after its week belongs to another email."""
        door.post("always")
        old = held.of_contact(door.ledger, CONTACT).since
        door.redis.delete(*door.redis.keys("eg:mailbox:*"), *door.redis.keys("eg:asking:*"))
        door.clock.advance(hours=24 * 8)
        door.post("again")
        assert not door.confirm(since=old)
        assert door.fields() == {} and door.held()

    def test_after_a_week_there_is_nothing_to_confirm(self, door: Door) -> None:
        """The link says that it has expired."""
        door.post("always")
        since = held.of_contact(door.ledger, CONTACT).since
        door.redis.delete(*door.redis.keys("eg:held:*-always"))  # as Redis's own clock does
        assert not door.confirm(since=since) and door.fields() == {}

    def test_after_forget_there_is_nothing_to_confirm(self, door: Door) -> None:
        """A person who was erased is not brought back by an old email."""
        door.post("always")
        since = held.of_contact(door.ledger, CONTACT).since
        privacy.forget(ADDRESS, door.ledger, door.settings, None)
        assert not door.confirm(since=since) and door.fields() == {}

    def test_another_address_of_the_mailbox_is_not_confirmed_by_it(self, door: Door) -> None:
        """A link is good for the address to which it was sent."""
        door.post("always", email="ada+1@example.org")
        door.post("always", email="ada+2@example.org")
        assert door.ask() == ["ada+1@example.org"]
        since = held.of_contact(door.ledger, ids.digest("ada+1@example.org")).since
        assert not confirming.confirm(ids.digest("ada+2@example.org"), since, door.intake())
        assert not confirming.confirm(ids.digest("ada+2@example.org"), 0, door.intake())
        assert door.held("ada+2@example.org")
