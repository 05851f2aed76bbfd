"""Consents: a history that is only added to, and an unsubscribe that only the owner of the mailbox lifts."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.timing import DAY
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.contacts import Contacts
from shared.ledger.orders import Report
from shared.ledger.restore_orders import Restore
from shared.operations import privacy
from tests.conftest import START, Clock
from tests.support.strangers import ADDRESS, CAFE, CONTACT, HOME, Door

WORDS = "Yes, send me the emails."


@pytest.fixture
def door(ledger: Ledger, clock: Clock) -> Door:
    return Door(ledger, clock)


def history(door: Door) -> list[dict[str, Any]]:
    """The consents of the contact, the oldest first."""
    return [dict(entry) for entry in Contacts(door.ledger).held(CONTACT).consents]


def said(door: Door) -> list[tuple[str, str]]:
    """Of each entry, what happened and how it is proved."""
    return [(entry["what"], entry["proof"]) for entry in history(door)]


class TestHistory:
    """What stands in it."""

    def test_it_says_what_when_where_and_how_it_is_proved(self, door: Door) -> None:
        """The words, the page, the form, the network and the time."""
        door.post("plain", CAFE, consent=True, consent_text=WORDS)
        (entry,) = history(door)
        assert entry == {
            "what": "given",
            "at": START,
            "text": WORDS,
            "page": "https://shop.example.org/",
            "source": "plain",
            "network": CAFE,
            "proof": "unproved",
        }

    def test_it_is_only_added_to(self, door: Door) -> None:
        """Other words, an unsubscribe and a confirmation are further entries; those before stay as they were."""
        door.prove(consent=True, consent_text=WORDS)
        first = history(door)
        door.ledger.suppress(CONTACT, "unsubscribed")
        second = history(door)
        door.clock.advance(seconds=1)
        door.post("plain", consent=True, consent_text="Other words.")
        door.ask(hours=25)
        assert door.confirm()
        third = history(door)
        assert (second[:1], third[:2]) == (first, second)
        assert said(door) == [("given", "proved"), ("withdrawn", "confirmed"), ("given", "confirmed")]

    def test_an_unchanged_state_adds_nothing(self, door: Door) -> None:
        """The same words once more, by the same or a weaker proof, and an unsubscribe of whom has unsubscribed."""
        for give in (door.post, door.post, door.prove, door.prove, door.post):
            give("plain", consent=True, consent_text=WORDS)
        for _ in range(3):
            door.ledger.suppress(CONTACT, "unsubscribed")
        assert said(door) == [("given", "unproved"), ("given", "proved"), ("withdrawn", "confirmed")]

    @pytest.mark.parametrize("consent", [False, None])
    def test_no_consent_is_no_entry(self, door: Door, consent: bool | None) -> None:
        """A box that was left empty withdraws nothing, as anyone may leave it empty."""
        door.post(consent=True)
        door.post("other", consent=consent, consent_text=WORDS)
        assert said(door) == [("given", "unproved")]

    def test_an_unsubscribe_names_who_reported_it(self, door: Door) -> None:
        """A link in an email, or the provider."""
        door.ledger.suppress(CONTACT, "unsubscribed")
        other = ids.digest("bob@example.org")
        report = {"seen": "x", "seen_ttl": DAY, "at": START, "contact": other, "sent": START}
        door.ledger.receive(Report(what="unsubscribed", enrollment=None, step=None, id=None, **report))  # type: ignore[arg-type]  # fields by name
        sources = [Contacts(door.ledger).held(contact).consents[0]["source"] for contact in (CONTACT, other)]
        assert sources == ["link", "resend"]

    def test_strangers_add_at_most_twenty(self, door: Door) -> None:
        """However many words they think of; what is proved or confirmed comes in after that, too."""
        for number in range(30):
            door.post("plain", f"192.0.2.{number}/32", consent=True, consent_text=f"{number}")
        assert len(history(door)) == 20
        door.prove(consent=True, consent_text=WORDS)
        assert said(door)[-1] == ("given", "proved") and len(history(door)) == 21

    def test_an_unproved_consent_replaces_no_stronger_one(self, door: Door) -> None:
        """What counts is the words that were proved; a stranger's are only in the history."""
        door.prove(consent=True, consent_text=WORDS)
        door.clock.advance(hours=1)
        door.post("other", consent=True, consent_text="Anything, and my money too.")
        known = door.fields()
        assert (known["consent_text"], known["consent_at"], known["consent_proof"]) == (WORDS, str(START), "proved")
        assert said(door) == [("given", "proved"), ("given", "unproved")]

    def test_one_of_an_earlier_release_is_as_strong_as_a_proved_one(self, door: Door) -> None:
        """It says nothing of its proof, so a stranger does not replace it."""
        door.redis.hset(ids.contact_key(CONTACT), mapping={"email": ADDRESS, "consent_at": "5", "consent_text": WORDS})
        door.post(consent=True, consent_text="Other words.")
        assert (door.fields()["consent_text"], door.fields()["consent_at"]) == (WORDS, "5")

    def test_export_shows_it_and_forget_erases_it(self, door: Door) -> None:
        """With dates for people; afterwards nothing of it is left."""
        door.post(consent=True, consent_text=WORDS)
        door.clock.advance(hours=1)
        door.ledger.suppress(CONTACT, "unsubscribed")
        found = privacy.export(ADDRESS, door.ledger)
        assert found and [(entry["what"], entry["at"]) for entry in found["consents"]] == [
            ("given", "2027-01-15T08:00:00.000+00:00"),
            ("withdrawn", "2027-01-15T09:00:00.000+00:00"),
        ]
        privacy.forget(ADDRESS, door.ledger, door.settings, None)
        assert history(door) == []

    def test_export_shows_what_is_held(self, door: Door) -> None:
        """What a person typed is theirs to see, before anyone has confirmed it."""
        door.post("always", name="Ada Lovelace")
        found = privacy.export(ADDRESS, door.ledger)
        assert found and found["waiting_for_confirmation"][0]["name"] == "Ada Lovelace"
        privacy.forget(ADDRESS, door.ledger, door.settings, None)
        assert privacy.export(ADDRESS, door.ledger) is None


def unsubscribed(door: Door) -> None:
    """Ada has unsubscribed."""
    door.prove(consent=True)
    door.ledger.suppress(CONTACT, "unsubscribed")
    door.clock.advance(seconds=1)


def forgotten(door: Door) -> None:
    """Ada has unsubscribed, and was then forgotten."""
    unsubscribed(door)
    privacy.forget(ADDRESS, door.ledger, door.settings, None)


def restored(door: Door) -> None:
    """A restore has found in Notion that Ada has unsubscribed."""
    door.ledger.restore(Restore(contact=CONTACT, fields={"email": ADDRESS}, page="page-1", reason="unsubscribed"))
    door.clock.advance(seconds=1)


every_past = pytest.mark.parametrize("past", [unsubscribed, forgotten, restored])


class TestUnsubscribed:
    """What a form does for an address that wants no email."""

    @every_past
    def test_a_form_lifts_nothing(self, door: Door, past: Any) -> None:
        """Neither by any webhook nor after any time; no field changes and nothing is enrolled."""
        past(door)
        before = door.fields()
        for trigger in ("plain", "always", "never", "agreed", "signup"):
            door.post(trigger, consent=True, name="Eve")
            door.clock.advance(hours=40)
        assert door.fields() == before and "unsubscribed" in before
        assert not door.redis.keys("eg:enrollment:agreed-*")

    @every_past
    def test_at_most_one_email_a_week_asks_and_not_on_the_first_day(self, door: Door, past: Any) -> None:
        """However often someone posts the form, with one reminder."""
        past(door)
        sent = {}
        for hour in range(0, 7 * 24 - 1, 6):
            door.post(consent=True)
            if asked := door.ask():
                sent[hour] = asked
            door.clock.advance(hours=6)
        assert sent == {24: [ADDRESS], 48: [ADDRESS]}

    @every_past
    def test_only_the_button_lifts_it(self, door: Door, past: Any) -> None:
        """Then the person is subscribed, enrolled and agreed by their own hand."""
        past(door)
        door.post("agreed", consent=True)
        assert door.ask(hours=25) == [ADDRESS]
        assert door.confirm()
        run = door.enrollment("agreed")
        assert "unsubscribed" not in door.fields() and run and run.state == "active"
        assert door.fields()["consent_proof"] == "confirmed"
        assert Contacts(door.ledger).suppressions() == []

    def test_forgetting_starts_no_new_week(self, door: Door) -> None:
        """Who was asked and then forgotten is not asked again at once, no matter who posts the form."""
        unsubscribed(door)
        door.post(consent=True)
        assert door.ask(hours=25) == [ADDRESS]
        privacy.forget(ADDRESS, door.ledger, door.settings, None)
        door.post(consent=True)
        assert door.ask(hours=48) == []

    def test_without_consent_no_one_is_asked(self, door: Door) -> None:
        """A form without it is remembered, and that is all."""
        unsubscribed(door)
        door.post("agreed", consent=False)
        assert door.held() == [] and door.ask(hours=48) == []

    def test_a_confirmation_without_consent_lifts_nothing(self, door: Door) -> None:
        """A sign-up that was held before the unsubscribe confirms the address, and no more."""
        door.post("always", consent=None)
        assert door.ask() == [ADDRESS]
        door.clock.advance(hours=1)
        door.ledger.suppress(CONTACT, "unsubscribed")
        assert door.confirm()
        assert "unsubscribed" in door.fields() and door.enrollment("always") is None

    @pytest.mark.parametrize("reason", ["bounced", "complained", "manual"])
    def test_other_reasons_are_asked_nothing(self, door: Door, reason: str) -> None:
        """An address that cannot get or never wants email gets no question, either."""
        door.ledger.suppress(CONTACT, reason)
        door.post("always", consent=True)
        assert door.ask(hours=25) == []

    def test_a_visitor_does_not_learn_that_it_is_unsubscribed(self, door: Door) -> None:
        """The answer is the same as for an address that no one knows."""
        unsubscribed(door)
        known = door.post("plain", consent=True).body
        unknown = door.post("plain", email="eve@example.org", consent=True).body
        assert known == unknown | {"email": ADDRESS}

    def test_limits_count_it_like_any_other(self, door: Door) -> None:
        """So no one learns it from how often they may ask, either."""
        unsubscribed(door)
        outcomes = [door.post("plain", HOME, consent=True).outcome.what for _ in range(7)]
        assert outcomes == ["asks"] * 5 + ["repeated"] * 2

    def test_the_operator_lifts_it(self, door: Door) -> None:
        """A proved sign-up needs no button."""
        unsubscribed(door)
        door.prove("agreed", consent=True)
        assert door.enrollment("agreed") and "unsubscribed" not in door.fields()
