"""One address that the provider does not take: it costs no other email anything, and ends only its own enrollment."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.errors import SendError
from shared.domain.states import EnrollmentState
from shared.integrations.provider import Accepted
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.operations.enrollment_actions import EnrollmentActions
from tests.support.batches import batching, crowd
from tests.support.world import World

ADDRESS = "Invalid `to` field. Use a test address instead of domains like `example.com`."
CONTENT = "Invalid `headers` field. It must be an object."
SENDER = "Invalid `from` field. It must be an address."


@pytest.fixture
def many(world: World) -> World:
    """A world in which everything goes in batches."""
    return batching(world)


def refuse(world: World, message: str, *people: int) -> None:
    """The provider refuses the emails to these people of a crowd."""
    world.provider.refuses |= {f"person{person}@example.org": message for person in people}


class TestInABatch:
    """The others of the batch are accepted in the same request."""

    @pytest.mark.parametrize("bad", [0, 1, 59])
    def test_the_others_go_at_once(self, many: World, bad: int) -> None:
        """Sixty people and one bad address, at any place: one request, and each id belongs to its own email."""
        runs = crowd(many, 60)
        refuse(many, ADDRESS, bad)
        many.work()
        assert many.provider.requests == [60]
        assert [many.states(run)[0] for run in runs] == ["failed" if n == bad else "sent" for n in range(60)]
        sent = [many.run(run).step(1) for n, run in enumerate(runs) if n != bad]
        assert [step.provider_id for step in sent] == [f"id-{n}" for n in range(59)]

    def test_it_is_asked_about_once(self, many: World) -> None:
        """At the next step the address is in no batch any more, and the owner has got one alert."""
        runs = crowd(many, 3)
        refuse(many, ADDRESS, 1)
        many.live(hours=30)
        assert many.provider.requests == [3, 2]
        ended = many.run(runs[1])
        assert (ended.state, ended.why) == (EnrollmentState.FAILED, f"Resend refuses it: {ADDRESS}")
        assert many.states(runs[1]) == ["failed", *["cancelled"] * 6]
        alert = Alerts(many.ledger).take()
        assert alert and (alert.subject, alert.count) == ("failed", 1)

    @pytest.mark.parametrize("count", [2, 5])
    def test_an_error_that_all_share_ends_nothing_unasked(self, many: World, count: int) -> None:
        """It may be about something else: each goes on its own, and only its own answer decides."""
        runs = crowd(many, count)
        refuse(many, ADDRESS, *range(count))
        many.release()
        many.sender.send(*many.next_job() or pytest.fail("no job"))
        assert {many.states(run)[0] for run in runs} == {"scheduled"}
        many.provider.refuses.clear()
        many.work()
        assert many.provider.requests == [count, *[1] * count]
        assert {many.states(run)[0] for run in runs} == {"sent"}

    def test_an_error_about_something_else_ends_no_enrollment(self, many: World) -> None:
        """The email goes on its own and fails alone; the next one is tried."""
        runs = crowd(many, 3)
        refuse(many, CONTENT, 2)
        many.work()
        assert many.provider.requests == [3, 1]
        assert many.states(runs[2])[:2] == ["failed", "scheduled"]
        assert many.run(runs[2]).state == EnrollmentState.ACTIVE

    def test_a_wrong_sender_fails_nothing(self, many: World) -> None:
        """Nothing can be sent with it: sending stops until it is corrected, and then all goes."""
        runs = crowd(many, 3)
        refuse(many, SENDER, 0, 1, 2)
        many.work()
        assert many.provider.requests == [3]
        assert many.redis.hget(ids.GATE, "reason") == f"Resend refuses it: {SENDER}"
        many.provider.refuses.clear()
        many.clock.advance(seconds=61)
        many.work()
        assert {many.states(run)[0] for run in runs} == {"sent"}

    def test_a_repetition_is_the_same_batch_in_the_same_mode(self, many: World) -> None:
        """Without an answer the batch goes again whole; what was accepted is sent, and of the other it is unknown
        whether the first request was understood in another way."""
        runs = crowd(many, 3)
        refuse(many, ADDRESS, 0)
        many.provider.faults.append("lost")
        many.work()
        many.clock.advance(seconds=60)
        many.work()
        assert many.provider.requests == [3, 3]
        assert [many.states(run)[0] for run in runs] == ["in-doubt", "sent", "sent"]

    def test_a_batch_of_an_earlier_release_is_repeated_as_it_was(self, many: World) -> None:
        """It was posted strictly, and its key belongs to that request."""
        crowd(many, 3)
        many.provider.permissive = False
        many.provider.faults.append("lost")
        many.work()
        for key in many.redis.scan_iter("eg:frozen:*"):
            many.redis.hdel(key, "permissive")
        many.provider.permissive = True
        many.clock.advance(seconds=60)
        many.work()
        assert many.provider.requests == [3, 3]
        assert len(many.provider.accepted) == 3


class TestWithoutPermissiveBatches:
    """A provider that refuses the whole batch: it is halved until the bad address is alone."""

    @pytest.mark.parametrize("bad", [0, 37, 99])
    def test_a_hundred_people(self, many: World, bad: int) -> None:
        """Sixteen requests at the most, not a hundred and one."""
        many.provider.permissive = False
        runs = crowd(many, 100)
        refuse(many, ADDRESS, bad)
        many.work()
        assert many.provider.requests[0] == 100 and len(many.provider.requests) <= 16
        assert [many.states(run)[0] for run in runs] == ["failed" if n == bad else "sent" for n in range(100)]
        assert many.run(runs[bad]).state == EnrollmentState.FAILED

    def test_a_newcomer_waits_for_no_one(self, many: World) -> None:
        """A person who signs up meanwhile joins one of the smaller batches."""
        many.provider.permissive = False
        crowd(many, 40)
        refuse(many, ADDRESS, 7)
        many.release()
        many.sender.send(*many.next_job() or pytest.fail("no job"))
        newcomer = many.sign_up(email="newcomer@example.org")
        many.work()
        assert many.states(newcomer)[0] == "sent"
        assert max(many.provider.requests[1:]) <= 20


class TestAlone:
    """The same for an email with a request of its own."""

    def test_a_refused_address_ends_its_enrollment(self, world: World) -> None:
        """At the first email, with the reason; none of the other six is tried."""
        run = world.sign_up()
        world.provider.refuses["ada@example.org"] = ADDRESS
        world.live(hours=400)
        assert world.provider.requests == [1]
        assert world.run(run).state == EnrollmentState.FAILED
        assert ADDRESS in str(world.run(run).why)

    def test_a_paused_enrollment_ends_too(
        self, world: World, actions: EnrollmentActions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The pause came while the provider had the request."""
        run = world.sign_up()
        world.provider.refuses["ada@example.org"] = ADDRESS
        send = world.provider.send

        def paused(email: dict[str, Any], *, key: str) -> Accepted:
            actions.pause(run)
            return send(email, key=key)

        monkeypatch.setattr(world.provider, "send", paused)
        world.work()
        assert world.run(run).state == EnrollmentState.FAILED

    def test_it_can_be_retried(self, world: World, actions: EnrollmentActions) -> None:
        """If the provider was wrong, a person has this email sent, and the others follow at their times."""
        run = world.sign_up()
        world.provider.refuses["ada@example.org"] = ADDRESS
        world.work()
        world.provider.refuses.clear()
        actions.retry(run, 1)
        world.work()
        assert (world.states(run)[:2], world.run(run).why) == (["sent", "scheduled"], None)
        world.live(hours=24 * 12)
        assert (world.states(run), world.run(run).state) == (["sent"] * 7, EnrollmentState.COMPLETED)

    def test_the_same_person_can_sign_up_again(self, world: World) -> None:
        """Where the campaign allows it after an end; the address is asked about once more."""
        run = world.sign_up()
        world.provider.refuses["ada@example.org"] = ADDRESS
        world.work()
        assert world.run(run).state == EnrollmentState.FAILED
        assert not world.redis.hexists(f"eg:contact:{ids.digest('ada@example.org')}", "group.assessment")


class TestEveryEmailFailed:
    """An enrollment of which nothing was sent has failed; it is not complete."""

    def ends(self, world: World, run: str, faults: list[str | SendError]) -> EnrollmentState:
        """The state of the enrollment when its seven emails met these faults."""
        world.provider.faults.extend(faults)
        world.live(hours=24 * 12)
        return world.run(run).state

    def test_all_failed(self, world: World) -> None:
        """Each was refused for another reason than the address."""
        run = world.sign_up()
        refused = SendError("refused", "Resend answered 422")
        assert self.ends(world, run, [refused] * 7) == EnrollmentState.FAILED
        assert world.states(run) == ["failed"] * 7

    @pytest.mark.parametrize("sent", [0, 3, 6])
    def test_one_was_sent(self, world: World, sent: int) -> None:
        """Then it is complete."""
        run = world.sign_up()
        faults: list[str | SendError] = [SendError("refused", "Resend answered 422")] * 7
        faults[sent] = "none"
        assert self.ends(world, run, faults) == EnrollmentState.COMPLETED

    def test_one_may_have_been_sent(self, world: World) -> None:
        """Then nothing is known to have failed as a whole."""
        run = world.sign_up()
        faults: list[str | SendError] = [SendError("refused", "Resend answered 422")] * 7
        faults[3] = SendError("conflict", "another body")
        assert self.ends(world, run, faults) == EnrollmentState.COMPLETED

    def test_all_were_skipped(self, world: World, actions: EnrollmentActions) -> None:
        """Nothing has failed."""
        run = world.sign_up()
        for step in range(1, 8):
            actions.skip(run, step)
        assert world.run(run).state == EnrollmentState.COMPLETED
