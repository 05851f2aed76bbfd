"""Who is asked for a confirmation, when, and how often; with a provider that fails in every way."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from shared.core.errors import SendError, SendFault
from shared.domain.timing import DAY
from shared.intake import delivery_events
from shared.integrations.resend_events import DeliveryEvent
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.operations import privacy
from tests.conftest import START, Clock
from tests.support.strangers import ADDRESS, CAFE, CONTACT, HOME, Door
from tests.support.world import World


@pytest.fixture
def door(ledger: Ledger, clock: Clock) -> Door:
    return Door(ledger, clock)


def next_week(door: Door) -> None:
    """A week later, as Redis's own clock would leave it."""
    door.redis.delete(*[key for key in door.redis.scan_iter("eg:*") if door.redis.pttl(key) > 0])
    door.clock.advance(hours=7 * 24)


def next_hour(door: Door) -> None:
    """An hour later, likewise."""
    door.redis.delete("eg:limit:confirmations")
    door.clock.advance(hours=1)


class TestOnce:
    """One email, and one reminder."""

    def test_one_email_and_one_reminder_a_day_later(self, door: Door) -> None:
        """And nothing more in that week, however often the form is posted."""
        sent: dict[int, int] = {}
        for hour in range(7 * 24):
            if hour % 5 == 0:
                door.post("always" if hour % 2 else "again", CAFE)
            if asked := door.ask():
                sent[hour] = len(asked)
            door.clock.advance(hours=1)
        assert sent == {0: 1, 24: 1}
        subjects = [email["subject"] for email in door.provider.accepted]
        assert len(set(subjects)) == 2

    @pytest.mark.parametrize(
        "others",
        [
            ("ada+1@example.org", "ada+shop@example.org"),
            ("ada.lovelace@gmail.com", "adalovelace@gmail.com", "a.d.a.lovelace+x@googlemail.com"),
        ],
    )
    def test_all_addresses_of_a_mailbox_are_one(self, door: Door, others: tuple[str, ...]) -> None:
        """No matter what tags or dots a stranger adds, its owner gets one email and one reminder."""
        for email in others:
            door.post("always", email=email)
        sent = door.ask() + door.ask(hours=25) + door.ask(hours=25)
        assert sent == [others[0]] * 2

    def test_an_address_that_an_earlier_release_held_is_asked_too(self, door: Door) -> None:
        """Forms refuse it now; it must not stop the others. Domains are in ASCII."""
        door.post("always", email="jose@käse.example.org")
        (key,) = [key for key in door.redis.scan_iter(f"{ids.HELD}:*") if door.redis.type(key) == "string"]
        door.redis.set(key, str(door.redis.get(key)).replace("jose@", "josé@"), keepttl=True)
        door.post("always")
        assert sorted(door.ask()) == [ADDRESS, "josé@xn--kse-qla.example.org"]

    @pytest.mark.parametrize("other", ["a.da@example.org", "ada@example.net", "ada1@gmail.com"])
    def test_other_mailboxes_are_others(self, door: Door, other: str) -> None:
        """Dots mean something outside Gmail."""
        for email in (ADDRESS, other):
            door.post("always", email=email)
        assert sorted(door.ask()) == sorted([ADDRESS, other])

    def test_the_next_week_is_another(self, door: Door) -> None:
        """Who let the first one pass may be asked again then, by a new link."""
        door.post("always")
        door.ask()
        next_week(door)
        door.post("always")
        assert door.ask() == [ADDRESS]
        (first, *_), (second, *_) = (door.links(email) for email in door.provider.accepted)
        assert second.since - first.since == 7 * DAY

    def test_who_confirmed_gets_no_reminder(self, door: Door) -> None:
        """There is nothing left to ask."""
        door.post("always")
        door.ask()
        assert door.confirm()
        assert door.ask(hours=25) == []

    def test_both_parts_lead_to_the_same_page(self, door: Door) -> None:
        """The HTML and the text have the link, and it names the contact and when it was asked."""
        door.post("always")
        door.ask()
        assert set(door.links(door.provider.accepted[0])) == {(CONTACT, START)}
        assert len(door.links(door.provider.accepted[0])) == 2


class TestTurns:
    """A hundred an hour, in turn."""

    def test_a_hundred_an_hour(self, door: Door) -> None:
        """More wait for the next hour, and none is left out."""
        door.outcomes(130, "always")
        sent = door.ask()
        assert len(sent) == 100
        assert door.ask() == []
        next_hour(door)
        assert len(sent + door.ask()) == len({*sent, *[email["to"][0] for email in door.provider.accepted]}) == 130

    def test_a_flood_wakes_no_worker_while_none_may_leave(self, door: Door) -> None:
        """Customers' emails wait on the same queue: when the hour's share is sent, no job comes until the next hour."""
        door.outcomes(110, "always")
        door.ask()
        door.redis.delete(ids.QUEUE)
        door.outcomes(20, "always", CAFE)
        door.ledger.sweep(())
        assert door.redis.llen(ids.QUEUE) == 0
        next_hour(door)
        door.ledger.sweep(())
        assert door.redis.llen(ids.QUEUE) == 1

    def test_a_flood_wakes_no_worker_while_first_emails_are_stopped(self, door: Door) -> None:
        """As long as no one may be asked at all."""
        door.redis.set(ids.FIRSTS_STOPPED, "1")
        door.outcomes(20, "always")
        assert door.redis.llen(ids.QUEUE) == 0

    def test_a_flood_takes_no_ones_turn(self, door: Door) -> None:
        """A visitor who comes after a thousand sign-ups of one network is asked before the second of these."""
        door.outcomes(150, "always", HOME)
        for number in range(3):
            door.post("always", f"198.51.100.{number}/32", email=f"honest{number}@example.org")
        sent = door.ask()
        assert {f"honest{number}@example.org" for number in range(3)} <= set(sent[:4])

    def test_networks_take_turns(self, door: Door) -> None:
        """The first of each, then the second of each; among equals, who waits longer."""
        for network in (HOME, CAFE, "203.0.113.5/32"):
            for number in range(3):
                door.post("always", network, email=f"{number}@{network[:3]}.example.org")
                door.clock.advance(seconds=1)
        order = [email.replace(".example.org", "") for email in door.ask()]
        assert order == [f"{number}@{network}" for number in range(3) for network in ("192", "198", "203")]

    def test_newer_networks_do_not_push_older_ones_back(self, door: Door) -> None:
        """A flood from many networks is behind those who wait already."""
        door.post("always", CAFE)
        door.clock.advance(seconds=1)
        for number in range(110):
            door.post("always", f"10.0.0.{number}/32", email=f"p{number}@example.org")
        assert door.ask()[0] == ADDRESS


class TestStopped:
    """When nothing leaves."""

    def test_while_sending_is_stopped(self, door: Door) -> None:
        """By a person; it goes on when sending does."""
        door.post("always")
        door.ledger.stop_sending("a wrong price")
        assert door.ask() == []
        door.ledger.start_sending()
        assert door.ask() == [ADDRESS]

    def test_behind_the_fence(self, door: Door) -> None:
        """A copy that may not send asks no one, and neither does one that has not been confirmed as the only one."""
        door.post("always")
        door.settings = door.settings.model_copy(update={"notion_token": "x", "notion_email_sequence_db_id": "y"})
        if door.settings.fenced:
            assert door.ask() == []
        door.settings = door.settings.model_copy(update={"notion_token": ""})
        door.redis.hset("eg:fence", mapping={"on": "1", "server": "another", "why": "another copy"})
        assert door.ask() == []
        door.redis.delete("eg:fence")
        assert door.ask() == [ADDRESS]

    @pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "complained", "manual"])
    @pytest.mark.parametrize("first", [True, False])
    def test_after_a_stop_no_more_is_sent(self, door: Door, reason: str, first: bool) -> None:
        """Neither the email nor its reminder, and nothing stays held."""
        door.post("always", consent=True)
        if first:
            assert door.ask() == [ADDRESS]
        door.clock.advance(seconds=1)
        door.ledger.suppress(CONTACT, reason)
        assert door.ask(hours=25) == [] and door.held() == [] and int(door.redis.zcard("eg:held")) == 0

    def test_after_forget(self, door: Door) -> None:
        """The person is off every list; the form once more is a new one, and asks once."""
        door.post("always")
        privacy.forget(ADDRESS, door.ledger, door.settings, None)
        assert door.ask() == []
        door.post("always")
        assert door.ask() == [ADDRESS] and door.ask(hours=25) == [ADDRESS] and door.ask(hours=25) == []


class TestFailures:
    """What the provider answers."""

    @pytest.mark.parametrize("fault", ["lost", *(SendError(kind, "x") for kind in ("wait", "rate", "quota", "busy"))])
    def test_it_is_tried_again_under_the_same_key(self, door: Door, fault: Any) -> None:
        """A minute later, so the mailbox gets one."""
        door.post("always")
        door.provider.faults.append(fault)
        door.ask()
        door.clock.advance(seconds=61)
        door.ask()
        assert [email["to"] for email in door.provider.accepted] == [[ADDRESS]]
        assert len(door.provider.requests) == 2
        assert door.ask(hours=23) == [] and door.ask(hours=2) == [ADDRESS], "the reminder comes all the same"

    def test_the_providers_wait_is_kept(self, door: Door) -> None:
        """It says when it may be asked again."""
        door.post("always")
        door.provider.faults.append(SendError("quota", "used up", retry_after=7200))
        door.ask()
        assert door.ask(hours=1.9) == [] and door.ask(hours=0.2) == [ADDRESS]

    def test_a_refusal_ends_it(self, door: Door) -> None:
        """An address that the provider does not take is not asked again, and is not held."""
        door.post("always")
        door.clock.advance(seconds=1)
        door.post("always", CAFE, email="bob@example.org")
        door.provider.faults.append(SendError("refused", "no such address"))
        assert door.ask() == ["bob@example.org"]
        assert door.held() == [] and door.ask(hours=25) == ["bob@example.org"]

    def test_a_conflict_counts_as_sent(self, door: Door) -> None:
        """It has arrived, in other words perhaps; the reminder is the next."""
        door.post("always")
        door.provider.faults.append("lost")
        door.ask()
        door.settings = door.settings.model_copy(update={"business_name": "Renamed"})
        door.clock.advance(seconds=61)
        assert door.ask() == []
        assert door.ask(hours=1) == [] and door.ask(hours=24) == [ADDRESS]
        assert "Renamed" in door.provider.accepted[-1]["text"]

    def test_a_worker_that_died_loses_no_one(self, door: Door) -> None:
        """Who was taken and not reported is next again, after the lease; by the same key, if it had been posted."""
        door.post("always")
        assert door.ledger.confirmation(lease=60)
        assert door.ask() == []
        door.clock.advance(seconds=61)
        assert door.ask() == [ADDRESS]

    @pytest.mark.parametrize("kind", ["wait", "ambiguous", "closed"])
    def test_one_failure_stops_the_round_and_not_the_others(self, door: Door, kind: SendFault) -> None:
        """While the provider has an outage, each call tries one."""
        door.outcomes(3, "always")
        door.provider.faults.append(SendError(kind, "x"))
        assert door.ask() == []
        assert len(door.provider.requests) == 1
        assert len(door.ask()) == 2

    def test_two_workers_ask_each_once(self, door: Door) -> None:
        """However they interleave."""
        door.outcomes(40, "always")
        threads = [threading.Thread(target=door.confirmations.ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sent = [email["to"][0] for email in door.provider.accepted]
        assert len(sent) == len(set(sent)) == 40


_keys = itertools.count()


def bounce(door: Door, email: str) -> None:
    """The provider reports that an email to an address bounced."""
    event = DeliveryEvent(what="bounced", key=f"msg_{next(_keys)}", address=email, provider_id="x", at=door.clock.now)
    delivery_events.receive(event, door.ledger)


class TestBounces:
    """When too many first emails to unproved addresses bounce."""

    def asked(self, door: Door, count: int) -> list[str]:
        """Addresses that got a confirmation email."""
        door.outcomes(count, "always")
        return door.ask()

    def test_the_fourth_bounce_stops_them_and_the_owner_is_told_once(self, door: Door) -> None:
        """Three of a hundred are usual; from the fourth on no one is asked, and every new sign-up is held."""
        sent = self.asked(door, 20)
        for email in sent[:3]:
            bounce(door, email)
        next_hour(door)
        assert len(self.asked(door, 2)) == 2
        assert door.redis.zrange("eg:notices", 0, -1) == []
        for email in sent[3:6]:
            bounce(door, email)
        assert door.redis.zrange("eg:notices", 0, -1) == ["alert:first-emails"]
        next_hour(door)
        assert self.asked(door, 2) == []
        assert door.outcomes(1) == ["held"]

    def test_start_sending_starts_them_again(self, door: Door) -> None:
        """The owner has looked; what bounced before counts no more, and those who waited are asked."""
        for email in self.asked(door, 4):
            bounce(door, email)
        waiting = self.asked(door, 2)
        assert waiting == []
        door.ledger.start_sending()
        assert len(door.ask()) == 2 and door.outcomes(1) == ["enrolled"]
        bounce(door, door.provider.accepted[-1]["to"][0])
        assert door.outcomes(1) == ["enrolled"]

    def test_only_the_last_hundred_count(self, door: Door) -> None:
        """Three bounces of long ago and one of today stop nothing."""
        for email in self.asked(door, 10)[:3]:
            bounce(door, email)
        for _ in range(2):
            next_hour(door)
            assert len(self.asked(door, 60)) == 60
        bounce(door, door.provider.accepted[-1]["to"][0])
        assert door.outcomes(1) == ["enrolled"]

    def test_bounces_of_people_who_are_known_do_not_count(self, door: Door) -> None:
        """They say nothing about strangers."""
        self.asked(door, 4)
        for number in range(9):
            door.prove(email=f"known{number}@example.org")
            bounce(door, f"known{number}@example.org")
        assert door.outcomes(1) == ["enrolled"]

    def test_a_bounce_drops_what_is_held(self, door: Door) -> None:
        """The address cannot confirm; no reminder goes there."""
        door.post("always")
        assert door.ask() == [ADDRESS]
        bounce(door, ADDRESS)
        assert door.ask(hours=25) == [] and door.held() == []

    def test_first_emails_of_campaigns_wait_and_others_go(self, world: World) -> None:
        """A stranger's first email waits while they are stopped; whom the operator enrolled, gets theirs."""
        door = Door(world.ledger, world.clock, world.settings, world.sender.catalog, world.provider)
        scores: dict[str, Any] = {"assessment_score": 45, "red_systems": 2}
        for number in range(4):
            door.post("christmas-signup", f"10.0.0.{number}/32", email=f"p{number}@example.org", **scores)
        world.work()
        sent = [email["to"][0] for email in world.provider.accepted]
        assert len(sent) == 4
        door.post("christmas-signup", email="waits@example.org", **scores)
        for email in sent:
            bounce(door, email)
        door.prove("christmas-signup", email="known@example.org", **scores)
        world.work()
        assert [email["to"][0] for email in world.provider.accepted[4:]] == ["known@example.org"]
        world.ledger.start_sending()
        world.live(1)
        assert [email["to"][0] for email in world.provider.accepted[5:]] == ["waits@example.org"]


class TestJobs:
    """How a worker comes to ask."""

    def jobs(self, door: Door) -> list[str]:
        """The jobs on the queue that ask."""
        return [job for job in map(str, door.redis.lrange(ids.QUEUE, 0, -1)) if job.startswith("confirm-")]

    def test_a_held_sign_up_brings_a_job(self, door: Door) -> None:
        """One, however many are held at once."""
        door.outcomes(5, "always")
        assert len(self.jobs(door)) == 1

    def test_the_sweeper_finds_who_is_left(self, door: Door) -> None:
        """After an hour with its hundred, after a lost job, and when a reminder is due."""
        door.post("always")
        door.redis.delete(ids.QUEUE, "eg:ask:job")
        door.ledger.sweep(())
        assert len(self.jobs(door)) == 1
        door.ask()
        door.redis.delete(ids.QUEUE, "eg:ask:job")
        door.ledger.sweep(())
        assert self.jobs(door) == []
        door.clock.advance(hours=25)
        door.ledger.sweep(())
        assert len(self.jobs(door)) == 1

    def test_without_anyone_to_ask_there_is_no_job(self, door: Door) -> None:
        """The queue stays empty."""
        door.post("plain")
        door.redis.delete(ids.QUEUE)
        door.ledger.sweep(())
        assert self.jobs(door) == []
