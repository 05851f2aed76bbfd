"""Held sign-ups: who is asked, how often, and what a confirmation changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import SendError
from shared.domain.forms import SignUp
from shared.domain.visitors import Visitor
from shared.intake import confirming, delivery_events, enrolling
from shared.integrations.resend_events import DeliveryEvent
from shared.ledger import held, ids
from shared.ledger.client import Ledger
from shared.ledger.contacts import Contacts
from shared.ledger.restore_orders import Restore
from shared.sending.confirmations import Confirmations
from tests.conftest import Clock
from tests.support.world import SETTINGS, World

ADA = "ada@example.org"
CONTACT = ids.digest(ADA)
HOLDS = SETTINGS.model_copy(update={"challenge_key": "challenge-4d1f7a9c3e8b2056f1a3", "challenge": "always"})


@pytest.fixture
def world(ledger: Ledger, clock: Clock) -> World:
    """An Evergreen that holds every sign-up that proves nothing."""
    return World(ledger, clock, HOLDS)


def visit(world: World, address: str = "192.0.2.1", trigger: str = "christmas-signup", **form: Any) -> None:
    """A stranger posts a form."""
    body = {"email": ADA, "first_name": "Ada", "assessment_score": 45, **form}
    intake = replace(world.intake, visitor=Visitor(address, (address,)))
    enrolling.sign_up(SignUp.model_validate(body), trigger=trigger, intake=intake)


def ask(world: World) -> list[str]:
    """Send the confirmation emails that are ready; returns whom they went to."""
    before = len(world.provider.accepted)
    Confirmations(world.ledger, world.provider, world.settings, lambda _: None).ask()
    return [email["to"][0] for email in world.provider.accepted[before:]]


def confirm(world: World) -> bool:
    """Press the button of the latest email."""
    return confirming.confirm(CONTACT, held.of_contact(world.ledger, CONTACT).since, world.intake)


@pytest.mark.parametrize("others", [0, 1])
def test_a_second_visit_from_elsewhere_keeps_the_first_in_line(world: World, others: int) -> None:
    """A second visitor who posts the same address does not prevent the email that asks."""
    visit(world)
    for number in range(others):
        visit(world, email=f"other-{number}@example.org")
    visit(world, "192.0.2.2")
    assert ADA in ask(world)


def test_who_confirms_a_second_time_is_told_so(world: World) -> None:
    """A sign-up that is held weeks after the first confirmation can be confirmed, too."""
    visit(world)
    ask(world)
    assert confirm(world)
    world.clock.advance(hours=24 * 20)
    visit(world, trigger="signup")
    assert ask(world) == [ADA]
    assert confirm(world)


def test_a_repeated_report_keeps_the_reminder(world: World) -> None:
    """That an email has left may be reported by two workers; there is one reminder nevertheless."""
    visit(world)
    ask(world)
    world.ledger.asked(CONTACT, "sent")
    world.clock.advance(hours=23)
    assert ask(world) == []
    world.clock.advance(hours=1)
    assert ask(world) == [ADA]
    world.clock.advance(hours=48)
    assert ask(world) == []


def test_an_email_of_unknown_outcome_is_not_sent_again_after_a_day(world: World) -> None:
    """Once the provider may have forgotten the key, what perhaps arrived counts as arrived."""
    visit(world)
    world.provider.faults.append("lost")
    assert ask(world) == [ADA]
    world.clock.advance(hours=25)
    ask(world)
    assert [email["tags"][0]["value"] for email in world.provider.accepted] == ["1", "2"]


def test_who_was_perhaps_asked_is_not_asked_again_after_leaving(world: World) -> None:
    """An email whose outcome is unknown uses up the mailbox's week, also if the held sign-up is dropped."""
    visit(world)
    world.provider.faults.append("lost")
    ask(world)
    Contacts(world.ledger).forget(CONTACT)
    visit(world)
    world.clock.advance(hours=30)
    assert ask(world) == []


def test_forgetting_leaves_no_place_in_line(world: World) -> None:
    """Neither in a network's line, nor for a reminder, nor among the first emails."""
    visit(world)
    Contacts(world.ledger).forget(CONTACT)
    assert not world.redis.keys("eg:ask:192*")
    assert not [key for key in world.redis.scan_iter("eg:ask:*") if world.redis.type(key) == "list"]
    visit(world)
    ask(world)
    world.provider.faults.append(SendError("ambiguous", "no answer"))
    Contacts(world.ledger).forget(CONTACT)
    assert world.redis.zscore("eg:firsts", CONTACT) is None
    assert world.redis.zscore("eg:ask:later", CONTACT) is None


def test_the_networks_count_what_they_hold(world: World) -> None:
    """A sign-up that is held again after its week, before it was cleared away, counts once."""
    for number in range(150):
        visit(world, email=f"bot-{number}@example.org")
        world.clock.advance(seconds=1)
    world.clock.advance(hours=24 * 7)
    for number in (149, 148):
        world.redis.delete(f"eg:held:{ids.digest(f'bot-{number}@example.org')}-christmas-signup")
        visit(world, email=f"bot-{number}@example.org")
    world.ledger.sweep([])
    world.ledger.sweep([])
    counts: Any = world.redis.zrange("eg:held:networks", 0, -1, withscores=True)
    assert [score for _, score in counts] == [2]


class TestOfEarlierReleases:
    """A contact whose fields are on no list of proofs."""

    @pytest.mark.parametrize("changes", [{}, {"first_name": "Ada", "assessment_score": 45}, {"first_name": "Mallory"}])
    def test_a_form_changes_nothing(self, ledger: Ledger, clock: Clock, changes: dict[str, Any]) -> None:
        """Whether it repeats what is known, or says something else."""
        world = World(ledger, clock)
        known: dict[Any, Any] = {
            "email": ADA,
            "first_name": "Ada",
            "assessment_score": "45",
            "created": "1",
            "source": "import",
        }
        ledger.redis.hset(ids.contact_key(CONTACT), mapping=known)
        visit(world, **changes)
        fields = ledger.redis.hgetall(ids.contact_key(CONTACT))
        assert {name: fields[name] for name in known} == known

    @pytest.mark.parametrize("ranks", [{"proved": ",email,first_name,"}, {}])
    def test_what_is_restored_beats_a_form(self, ledger: Ledger, clock: Clock, ranks: dict[str, str]) -> None:
        """A stranger who came between a loss and the restore leaves no name behind."""
        visit(World(ledger, clock), first_name="Mallory")
        ledger.restore(Restore(contact=CONTACT, fields={"email": ADA, "first_name": "Ada"} | ranks))
        fields = ledger.redis.hgetall(ids.contact_key(CONTACT))
        assert fields["first_name"] == "Ada"
        assert "first_name" not in fields.get("unproved", "")
        assert ("first_name" in fields.get("proved", "")) == bool(ranks)


def test_a_report_that_overtakes_the_answer_counts_the_first_email(ledger: Ledger, clock: Clock) -> None:
    """Bounces of first emails count, also where the provider's report came before the worker's."""
    world = World(ledger, clock)
    visit(world)
    world.provider.faults.append("lost")
    world.work()
    enrollment = f"{ids.enrollment_prefix('christmas', ADA)}-1"
    step = next(step.number for step in world.run(enrollment).steps if step.posted)
    delivery_events.receive(
        DeliveryEvent("one", "accepted", clock.now, ADA, ids.email_id(enrollment, step), "id-0"), ledger
    )
    assert world.redis.zscore("eg:firsts", CONTACT) is not None
