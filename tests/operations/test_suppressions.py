"""Suppression by the operator: who gets no email, and who may again."""

from __future__ import annotations

import pytest

from shared.core.errors import ActionError
from shared.ledger import ids
from shared.ledger.contacts import Contacts
from shared.operations import suppressions
from tests.conftest import Clock
from tests.support.world import ADA, World

ADDRESS = str(ADA["email"])
CONTACT = ids.digest(ADDRESS)


def listed(world: World) -> list[tuple[str | None, list[str]]]:
    """Who gets no email, and why."""
    return [(each.email, sorted(each.reasons)) for each in Contacts(world.ledger).suppressions()]


def test_a_manual_suppression_ends_the_runs_and_is_listed(world: World) -> None:
    """The operator's decision ends the runs, regardless of capitals in the address, and is listed."""
    run = world.sign_up()
    world.work()
    assert suppressions.suppress(f" {ADDRESS.upper()} ", world.ledger) == 1
    found = world.run(run)
    assert (found.state, found.why) == ("exited", "manual")
    world.live(300)
    assert world.provider.email_ids == [f"{run}-1"]
    assert listed(world) == [(ADDRESS, ["manual"])]


def test_an_unknown_address_is_kept_as_a_hash(world: World) -> None:
    """It is kept as a hash, and stops a later run."""
    assert suppressions.suppress(ADDRESS, world.ledger) == 0
    assert listed(world) == [(None, ["manual"])]
    assert ADDRESS not in str(world.redis.hgetall(ids.contact_key(CONTACT)))
    assert world.ledger.enrollment(world.sign_up()) is None


def test_the_latest_comes_first(world: World, clock: Clock) -> None:
    """The list begins with the newest."""
    for address in ("a@example.org", "b@example.org"):
        world.sign_up(email=address)
        suppressions.suppress(address, world.ledger)
        clock.advance(seconds=1)
    assert [email for email, _ in listed(world)] == ["b@example.org", "a@example.org"]


@pytest.mark.parametrize("reason", ["bounced", "complained", "manual"])
def test_a_lifted_suppression_leaves_the_list(world: World, reason: str) -> None:
    """What the operator may lift is gone from the list; ended runs stay ended, and a new campaign may begin."""
    run = world.sign_up()
    world.ledger.suppress(CONTACT, reason)
    assert suppressions.unsuppress(ADDRESS, world.ledger) == [reason]
    assert suppressions.unsuppress(ADDRESS, world.ledger) == []
    assert listed(world) == [] and world.run(run).state == "exited"


def test_an_unsubscribe_cannot_be_lifted_without_consent(world: World, clock: Clock) -> None:
    """The operator cannot lift it, nor anything else with it, unless the person has agreed; then the new consent is
    recorded."""
    world.sign_up(consent=True, consent_text="Yes, write to me")
    world.ledger.suppress(CONTACT, "unsubscribed")
    world.ledger.suppress(CONTACT, "bounced")
    with pytest.raises(ActionError, match="only they can undo that"):
        suppressions.unsuppress(ADDRESS, world.ledger)
    assert listed(world) == [(ADDRESS, ["bounced", "unsubscribed"])]
    clock.advance(hours=1)
    assert suppressions.unsuppress(ADDRESS, world.ledger, has_consent=True) == ["bounced", "unsubscribed"]
    contact = world.ledger.contact(CONTACT)
    assert contact and contact.fields["consent_at"] == str(clock.now) and "operator" in contact.fields["consent_text"]
    assert listed(world) == []


def test_a_form_lifts_only_an_unsubscribe(world: World) -> None:
    """Ticking the consent box again takes an unsubscribe off the list, and leaves a bounce on it."""
    world.sign_up()
    world.ledger.suppress(CONTACT, "unsubscribed")
    world.sign_up(consent=True)
    assert listed(world) == []
    world.ledger.suppress(CONTACT, "unsubscribed")
    world.ledger.suppress(CONTACT, "bounced")
    world.sign_up(consent=True)
    assert listed(world) == [(ADDRESS, ["bounced"])]


def test_lifting_an_unknown_address_stores_nothing(world: World) -> None:
    """Lifting the suppression of an unknown address leaves no trace of it."""
    assert suppressions.unsuppress(ADDRESS, world.ledger, has_consent=True) == []
    assert world.redis.keys("eg:*") == []


def test_a_suppression_of_the_ascii_spelling_by_an_earlier_release_counts(world: World) -> None:
    """It took the two spellings for two people. Nothing is sent to either, and both are lifted at once."""
    email, other = "mia@käse.example.org", ids.digest("mia@xn--kse-qla.example.org")
    for reason in ("manual", "unsubscribed"):
        world.ledger.suppress(other, reason)
    run = world.sign_up(email=email)
    world.live(300)
    assert (world.provider.accepted, world.run(run).state) == ([], "exited")
    with pytest.raises(ActionError):
        suppressions.unsuppress(email, world.ledger)
    assert suppressions.unsuppress(email, world.ledger, has_consent=True) == ["manual", "unsubscribed"]
    assert listed(world) == []
