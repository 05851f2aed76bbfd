"""Reports, sends, crashes and exits in any order: what the provider took is sent, once, and no one is forgotten."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from shared.intake import delivery_events
from shared.integrations.provider import Accepted
from shared.integrations.resend_events import DeliveryEvent
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.provider_double import MemoryProvider
from tests.support.world import SETTINGS, World

PEOPLE = ("a@example.org", "b@example.org", "c@example.org")
PROOFS = ("accepted", "delivered", "opened", "delayed", "bounced-for-now")
FATES = st.sampled_from(["fine", "fine", "lost", "crash", "told", "told-and-lost", "told-and-crash"])
ACTIONS = st.one_of(
    st.tuples(st.just("send"), FATES),
    st.tuples(st.just("report"), st.sampled_from(PROOFS)),
    st.tuples(st.just("wait"), st.sampled_from([0.02, 1, 24])),
    st.tuples(st.just("complain"), st.sampled_from(PEOPLE)),
)


class Died(BaseException):
    """The process that was sending is gone."""


@dataclass
class Scene:
    """An Evergreen in which processes die and reports overtake answers."""

    world: World
    fate: str = "fine"
    keys: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        provider = self.world.provider
        for method in ("send", "send_batch"):
            setattr(provider, method, self.fateful(getattr(MemoryProvider, method)))

    def fateful(self, take: Any) -> Any:
        """A request with what happens between the provider's yes and ours."""

        def taken(email: Any, *, key: str, **mode: bool) -> Accepted:
            fate, self.fate = self.fate, "fine"
            if "lost" in fate:
                self.world.provider.faults.append("lost")
            known = len(self.world.provider.accepted)
            try:
                answer: Accepted = take(self.world.provider, email, key=key, **mode)
            finally:
                if "told" in fate and len(self.world.provider.accepted) > known:
                    self.report("delivered", known)
            if "crash" in fate:
                raise Died
            return answer

        return taken

    def report(self, what: Any, number: int) -> None:
        """Have Resend report something of one of the emails that it took."""
        email = self.world.provider.accepted[number]
        address = email["to"] if isinstance(email["to"], str) else email["to"][0]
        tag = next(tag["value"] for tag in email["tags"] if tag["name"] == "email_id")
        event = DeliveryEvent(f"msg_{next(self.keys)}", what, self.world.clock.now, address, tag, f"id-{number}")
        assert delivery_events.receive(event, self.world.ledger) != "busy"

    def send(self, fate: str) -> None:
        """Let a worker take one job."""
        self.world.release()
        self.fate = fate
        if job := self.world.next_job():
            with suppress(Died):
                self.world.sender.send(*job)
        self.fate = "fine"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(actions=st.lists(ACTIONS, max_size=14), batches=st.booleans())
@pytest.mark.usefixtures("redis")
def test_every_accepted_email_is_sent_once(redis: Redis, actions: list[tuple[str, Any]], batches: bool) -> None:
    """No email goes twice; once all reports are in, every email that the provider took is `sent` and counted once; the
    rest has ended."""
    redis.flushall()
    clock = Clock()
    world = World(
        Ledger(redis, clock=clock, durable=True),
        clock,
        SETTINGS.model_copy(update={"resend_batch_above": 1 if batches else 1000}),
    )
    scene = Scene(world)
    runs = [world.sign_up(email=address) for address in PEOPLE]
    for action, what in actions:
        if action == "send":
            scene.send(what)
        elif action == "report" and world.provider.accepted:
            scene.report(what, len(world.provider.accepted) - 1)
        elif action == "wait":
            world.live(what) if what >= 1 else clock.advance(hours=what)
        elif action == "complain":
            world.ledger.suppress(ids.digest(what), "complained")
    world.live(320)
    for number in range(len(world.provider.accepted)):
        scene.report("accepted", number)
    assert world.provider.twice == []
    states = {f"{run}-{step.number}": step.state for run in runs for step in world.run(run).steps}
    taken = set(world.provider.email_ids)
    assert {id for id, state in states.items() if state == "sent"} == taken
    assert set(states.values()) <= {"sent", "cancelled", "skipped"}
    counted = {
        name: int(str(count))
        for name, count in redis.hgetall("eg:tally:christmas").items()
        if str(name).endswith(".sent")
    }
    assert sum(counted.values()) == len(taken)
