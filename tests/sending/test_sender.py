"""What the sender sees to between its claim and the provider: time enough for the answer, and one turn at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from shared.core.errors import RenderingError, SendError, SendFault
from shared.domain.catalog import Catalog
from shared.domain.states import Outcome
from shared.domain.timing import DAY
from shared.integrations.provider import CLOCK_SHARE
from shared.ledger import ids
from shared.ledger.claims import Claimed, Item
from shared.ledger.client import Ledger
from shared.ledger.orders import Ending
from shared.operations.enrollment_actions import EnrollmentActions
from shared.sending import sender as sending
from shared.sending.composing import compose
from tests.conftest import Clock
from tests.support.batches import batching, crowd
from tests.support.world import SETTINGS, World

LEASE = 45  # seconds


def slowly(world: World, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Writing an email takes that long."""

    def written(item: Item, **with_: Any) -> dict[str, Any] | None:
        world.clock.advance(seconds=seconds)
        return compose(item, **with_)

    monkeypatch.setattr(sending, "compose", written)


@pytest.mark.parametrize("timeout", [10, 20])
@pytest.mark.parametrize(("over", "sends"), [(0, True), (0.001, False), (3, False)])
def test_the_answer_must_come_within_the_lease(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch, timeout: float, over: float, sends: bool
) -> None:
    """A worker that took so long to write that a slow answer would come after the lease leaves the email to the next
    one, which sends it."""
    world = World(ledger, clock, SETTINGS.model_copy(update={"provider_timeout": timeout}))
    run = world.sign_up()
    slowly(world, monkeypatch, LEASE - timeout * (1 + CLOCK_SHARE) - 1 + over)
    assert world.sender.send(run, 1).result == ("sent" if sends else "parked")
    assert len(world.provider.requests) == sends
    monkeypatch.undo()
    world.live(1)
    assert world.provider.email_ids == [f"{run}-1"]


def test_a_batch_that_took_too_long_to_write_is_not_posted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its members wait for their lease, and then each goes once."""
    many = batching(world)
    runs = crowd(many, 3)
    slowly(many, monkeypatch, LEASE / 3)
    many.release()
    assert many.sender.send(*many.next_job() or pytest.fail("no job")).why == "the lease was lost"
    assert many.provider.requests == []
    monkeypatch.undo()
    many.live(1)
    assert sorted(many.provider.email_ids) == sorted(f"{run}-1" for run in runs)


@pytest.mark.parametrize("fault", [None, "lost"])
def test_a_worker_that_wakes_too_late_does_not_post(world: World, fault: str | None) -> None:
    """Between claim and turn the process slept, for a first post and for a repetition."""
    run = world.sign_up()
    if fault:
        world.provider.faults.append(fault)
        world.work()
        world.clock.advance(seconds=60)
        world.release()
    requests = len(world.provider.requests)
    dozing = dataclasses.replace(
        world.sender, sleep=lambda _: world.clock.advance(seconds=LEASE - SETTINGS.provider_timeout)
    )
    assert dozing.send(run, 1).why == "the lease was lost"
    assert len(world.provider.requests) == requests
    world.live(1)
    assert world.provider.email_ids == [f"{run}-1"]


@pytest.mark.parametrize(
    ("kind", "seconds"), [("rate", 7), ("wait", 30), ("quota", 3600), ("busy", 60), ("closed", 60), ("ambiguous", 90)]
)
def test_no_request_is_made_before_the_provider_allows_it(world: World, kind: SendFault, seconds: int) -> None:
    """Each refusal is waited out for as long as the provider says, or as we know; then the email is sent, once."""
    run = world.sign_up()
    says = None if kind in ("busy", "closed") else seconds
    world.provider.faults.append(SendError(kind, f"the provider said {kind}", says))
    world.work()
    world.clock.advance(seconds=seconds, ms=-1)
    world.work()
    assert world.provider.requests == [1]
    world.clock.advance(ms=1)
    world.work()
    assert world.states(run)[0] == "sent"
    assert world.provider.requests == [1, 1]


@pytest.mark.parametrize("held", ["the same email", "another"])
def test_an_exceeded_rate_holds_every_email_back(world: World, held: str) -> None:
    """The provider's wait applies to everything: no other email is tried in the meantime."""
    world.sign_up()
    world.provider.faults.append(SendError("rate", "Resend answered 429", 5))
    world.work()
    if held == "another":
        world.sign_up(email="bo@example.org")
    world.clock.advance(seconds=3)
    world.work()
    assert world.provider.requests == [1]


@pytest.mark.parametrize("policy", ["skip", "shift"])
def test_an_email_tried_in_time_is_not_late(world: World, monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
    """An email that could not be written at its hour, and comes to its next look after an outage, is sent, and moves
    nothing."""
    christmas = world.sender.catalog.campaigns["christmas"]
    changed = christmas.model_copy(update={"late": christmas.late.model_copy(update={"policy": policy})})
    world.sender = dataclasses.replace(
        world.sender, catalog=Catalog({"christmas": changed}, world.sender.catalog.sources)
    )
    run = world.sign_up()

    def broken(item: Item, **_: Any) -> None:
        raise RenderingError("no such word")

    with monkeypatch.context() as patched:
        patched.setattr(sending, "compose", broken)
        world.work()
    world.clock.advance(hours=20)
    world.work()
    assert world.states(run)[0] == "sent"
    assert world.run(run).step(2).due == world.clock.now + 4 * 3_600_000


@pytest.mark.parametrize("decision", ["pause", "cancel", "unsubscribed"])
@pytest.mark.parametrize("outcome", ["waiting", "failing"])
def test_a_decision_made_while_a_request_is_in_flight_counts(
    world: World, actions: EnrollmentActions, decision: str, outcome: str
) -> None:
    """The provider did not take it: in a paused enrollment it waits for the resumption, in one that ended it ends
    too."""
    run = world.sign_up()
    world.next_job()
    email = f"{run}-1"
    assert isinstance(world.ledger.claim(run, 1, token="t", late={}, rate=1000, batch_above=10**6), Claimed)
    assert world.ledger.post([email], token="t", request=email, body="{}", spare=11, turn=world.clock.now, rate=1000)
    if decision == "unsubscribed":
        world.ledger.suppress(world.run(run).contact, decision)
    else:
        getattr(actions, decision)(run)
    world.ledger.settle(
        [email], Ending(Outcome(outcome), why="no answer", delays=[1000], patience=DAY), token="t", at_work=email
    )
    assert world.states(run)[0] == ("scheduled" if decision == "pause" else "cancelled")
    assert (
        int(world.redis.zcard(ids.OPEN))
        == int(world.redis.zcard(ids.SCHEDULED))
        == int(world.redis.llen(ids.QUEUE))
        == 0
    )
    world.live(24)
    assert world.provider.requests == []
    if decision == "pause":
        actions.resume(run)
        world.work()
        assert world.states(run)[0] == "sent"


@pytest.mark.parametrize(
    ("names", "greeting"),
    [
        ({"name": "Hopper, Grace"}, "Hi Grace,"),
        ({"name": "Mrs Hopper"}, "Hi there,"),
        ({"first_name": "Grace,"}, "Hi Grace,"),
        ({"first_name": ",", "name": "Grace Hopper"}, "Hi Grace,"),
        ({"first_name": "Mr", "name": "Mr Hopper"}, "Hi there,"),
        ({"first_name": "Hopper, Grace"}, "Hi Grace,"),
        ({"first_name": "Mary Ann"}, "Hi Mary Ann,"),
        ({"first_name": "Dr. Özil"}, "Hi Dr. Özil,"),
        ({}, "Hi there,"),
    ],
)
def test_a_greeting(world: World, names: dict[str, str], greeting: str) -> None:
    """It names the person as they are called, or no one."""
    world.sign_up({"email": "grace@example.org", "assessment_score": 45, **names})
    world.work()
    assert greeting in world.provider.accepted[0]["text"].splitlines()


@pytest.mark.parametrize("typed", ["mia@käse.example.org", "mia@xn--kse-qla.example.org", "Mia@KÄSE.example.org"])
def test_the_provider_gets_ascii_domains(ledger: Ledger, clock: Clock, typed: str) -> None:
    """It takes no others, of recipient or sender; the contact keeps the one in Unicode, however it was typed."""
    own = {"resend_from_email": "Käse <us@käse.example.org>", "resend_reply_to": "us@käse.example.org"}
    world = World(ledger, clock, SETTINGS.model_copy(update=own))
    world.sign_up(email=typed)
    world.work()
    (email,) = world.provider.accepted
    assert email["to"] == ["mia@xn--kse-qla.example.org"]
    assert (email["from"], email["reply_to"]) == ("Käse <us@xn--kse-qla.example.org>", "us@xn--kse-qla.example.org")
    contact = ledger.contact(ids.digest("mia@käse.example.org"))
    assert contact and contact.email == "mia@käse.example.org"
