"""The ledger's decisions, one by one, on a real Valkey with a given clock."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from shared.core.errors import LedgerError, SendError
from shared.domain.catalog import Catalog
from shared.domain.states import Outcome, Refusal
from shared.ledger import ids
from shared.ledger.claims import Claimed, Item, Refused
from shared.ledger.client import Ledger
from shared.ledger.health import read_health
from shared.ledger.orders import Ending
from shared.sending import sender as sending
from shared.sending.composing import compose
from tests.conftest import Clock
from tests.support.world import SETTINGS, World

LATE = {"christmas": 12 * 3_600_000}
REFUSED = SendError("refused", "Resend answered 422")
LOST = "lost"
SURELY_NOT = SendError("wait", "Resend could not be reached")
BROKEN = SendError("ambiguous", "Resend answered 500")


def batches(world: World) -> World:
    """The same world, with a provider that gets everything in batches."""
    return World(world.ledger, world.clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))


def claim(world: World, run: str, step: int = 1, holder: str = "t") -> Claimed | Refused:
    return world.ledger.claim(run, step, token=holder, late=LATE, rate=1000, batch_above=10**6)


@pytest.mark.parametrize("version", ["0", "2"])
def test_an_unknown_version_is_refused(ledger: Ledger, redis: Redis, version: str) -> None:
    """A program never works on what it cannot read: versions begin at 1, and this release knows no other one."""
    ledger.check_version()
    redis.set("eg:version", version)
    for look in (ledger.check_version, ledger.version):
        with pytest.raises(
            LedgerError,
            match=f"the ledger has version {version}, and this program reads up to 1; run the release that wrote it",
        ):
            look()


def test_a_step_is_claimed_once(world: World) -> None:
    """Of two workers on one step, one gets it and the other learns until when it is taken."""
    run = world.sign_up()
    first, second = claim(world, run, holder="a"), claim(world, run, holder="b")
    assert isinstance(first, Claimed) and [item.id for item in first.items] == [f"{run}-1"]
    assert second == Refused(Refusal.NOT_YET, world.clock.now + 45_000, "")


def test_a_lease_that_ends_before_the_post_lets_another_send(world: World) -> None:
    """A worker that died before posting costs its lease and nothing else."""
    run = world.sign_up()
    claim(world, run, holder="dead")
    world.clock.advance(seconds=45)
    assert isinstance(claim(world, run, holder="b"), Claimed)
    assert not world.ledger.post([f"{run}-1"], token="dead", request=f"{run}-1", body="{}", spare=11)


def test_a_worker_that_wakes_too_late_does_not_post(world: World) -> None:
    """The last look refuses a request whose answer could come after the lease."""
    run = world.sign_up()
    claim(world, run)
    world.clock.advance(seconds=34, ms=1)
    assert not world.ledger.post([f"{run}-1"], token="t", request=f"{run}-1", body="{}", spare=11)


def test_steps_go_out_in_order(world: World) -> None:
    """A later step waits while an earlier one is open, even when both are due."""
    quick = World(world.ledger, world.clock, SETTINGS.model_copy(update={"testing_mode": True, "testing_step": 10}))
    run = quick.sign_up()
    quick.clock.advance(seconds=15)
    assert claim(quick, run, 2) == Refused(Refusal.WAITS, None, "")
    quick.work()
    assert quick.provider.email_ids == [f"{run}-1", f"{run}-2"]


def test_a_request_with_a_lost_answer_is_repeated_unchanged(world: World) -> None:
    """A timeout after the provider accepted leads to the same request again, and to one email."""
    run = world.sign_up()
    world.provider.faults.append(LOST)
    assert [result.result for result in world.work()] == ["parked"]
    world.sign_up(first_name="Countess")
    world.clock.advance(seconds=60)
    world.work()
    assert world.run(run).step(1).state == "sent"
    assert world.provider.email_ids == [f"{run}-1"]
    assert "Ada" in world.provider.accepted[0]["html"]


def test_two_500_errors_then_success(world: World) -> None:
    """The third attempt sends, five minutes after the first."""
    run = world.sign_up()
    world.provider.faults.extend([BROKEN, BROKEN])
    world.work()
    for seconds in (60, 240):
        assert world.run(run).step(1).state == "sending"
        world.clock.advance(seconds=seconds - 1)
        assert world.work() == []
        world.clock.advance(seconds=1)
        world.work()
    assert world.run(run).step(1).state == "sent"
    assert len(world.provider.requests) == 3


def test_an_outcome_not_learned_within_the_window_is_in_doubt(world: World) -> None:
    """What may have been accepted is repeated for 23 hours and then left to a person; the next email still goes."""
    run = world.sign_up()
    world.provider.faults.extend([BROKEN] * 40)
    world.live(hours=23.75)
    step = world.run(run).step(1)
    assert (step.state, step.why) == ("in-doubt", BROKEN.reason)
    assert len(world.provider.requests) == 25
    world.provider.faults.clear()
    world.live(hours=1)
    assert world.states(run)[:2] == ["in-doubt", "sent"]


def test_a_refusal_after_an_ambiguous_post_is_in_doubt(world: World) -> None:
    """A refusal does not show what became of the earlier request."""
    run = world.sign_up()
    world.provider.faults.extend([LOST, REFUSED])
    world.work()
    world.clock.advance(seconds=60)
    world.work()
    assert world.run(run).step(1).state == "in-doubt"


def test_a_refused_email_fails_at_once(world: World) -> None:
    """An address that the provider refuses is not tried again, and does not hold the others back."""
    run = world.sign_up()
    world.provider.faults.append(REFUSED)
    assert [result.result for result in world.work()] == ["failed"]
    assert world.run(run).step(1).why == REFUSED.reason
    world.live(hours=25)
    assert world.states(run)[:2] == ["failed", "sent"]


def test_waiting_does_not_count_as_an_attempt(world: World) -> None:
    """An unreachable provider is waited for, without an attempt counted or a window begun."""
    run = world.sign_up()
    world.provider.faults.extend([SURELY_NOT] * 5)
    for _ in range(5):
        world.work()
        step = world.run(run).step(1)
        assert (step.state, step.attempts, step.posted, step.frozen) == ("scheduled", 0, None, None)
        world.clock.advance(seconds=10)
    world.work()
    assert world.run(run).step(1).state == "sent"


def test_a_wrong_key_stops_all_sending_until_a_probe_is_accepted(world: World) -> None:
    """Behind the gate nothing is tried but one email a minute; when that one goes, all go."""
    runs = [world.sign_up(email=f"p{n}@example.org") for n in range(5)]
    world.provider.faults.extend([SendError("closed", "Resend answered 401")] * 2)
    world.work()
    assert len(world.provider.requests) == 1
    assert read_health(world.ledger).gate == "Resend answered 401"
    world.clock.advance(seconds=61)
    world.work()
    assert len(world.provider.requests) == 2 and not world.provider.accepted
    world.clock.advance(seconds=61)
    world.work()
    assert sorted(world.provider.email_ids) == sorted(f"{run}-1" for run in runs)
    assert read_health(world.ledger).gate is None


def test_an_exhausted_quota_waits_for_its_reset(world: World) -> None:
    """With the day's quota gone, emails wait for the next day in UTC."""
    run = world.sign_up()
    world.provider.faults.append(SendError("quota", "Resend answered 429 daily_quota_exceeded"))
    world.work()
    world.clock.advance(hours=15.9)
    world.work()
    assert len(world.provider.requests) == 1
    world.clock.advance(hours=0.2)
    world.work()
    assert world.states(run)[0] == "sent"


def test_a_sign_up_behind_the_gate_is_kept(world: World) -> None:
    """Enrolling while sending is stopped loses nothing."""
    world.redis.hset(ids.GATE, mapping={"reason": "stopped manually"})
    run = world.sign_up()
    assert world.work() == []
    world.redis.delete(ids.GATE)
    world.work()
    assert world.states(run)[0] == "sent"


def test_many_ready_steps_go_as_one_batch(world: World) -> None:
    """What is ready beyond the rate goes in one request of at most a hundred, and no job is left behind."""
    many = batches(world)
    runs = [many.sign_up(email=f"p{n}@example.org") for n in range(150)]
    many.work()
    assert many.provider.requests == [100, 50]
    assert sorted(many.provider.email_ids) == sorted(f"{run}-1" for run in runs)
    assert many.redis.keys("rq:job:*-1-1") == []


def test_a_batch_that_times_out_after_accepting_sends_each_once(world: World) -> None:
    """The very same batch is repeated, though more steps have become ready."""
    many = batches(world)
    runs = [many.sign_up(email=f"p{n}@example.org") for n in range(3)]
    many.provider.faults.append(LOST)
    many.work()
    runs.append(many.sign_up(email="late@example.org"))
    many.clock.advance(seconds=60)
    many.work()
    assert sorted(many.provider.email_ids) == sorted(f"{run}-1" for run in runs)
    assert {many.run(run).step(1).state for run in runs} == {"sent"}


def test_a_refused_batch_is_split_into_single_emails(world: World) -> None:
    """One bad address in a batch fails alone; the others go singly."""
    many = batches(world)
    runs = [many.sign_up(email=f"p{n}@example.org") for n in range(3)]
    many.provider.faults.extend([REFUSED, REFUSED])
    many.work()
    assert many.provider.requests == [3, 1, 1, 1]
    assert sorted(many.run(run).step(1).state for run in runs) == ["failed", "sent", "sent"]


def test_an_ambiguous_batch_that_lost_a_member_is_all_in_doubt(world: World) -> None:
    """It can no longer be repeated as it was, so a person must look."""
    many = batches(world)
    runs = [many.sign_up(email=f"p{n}@example.org") for n in range(3)]
    many.provider.faults.append(BROKEN)
    many.work()
    many.ledger.suppress(ids.digest("p1@example.org"), "unsubscribed")
    many.clock.advance(seconds=60)
    many.work()
    assert {many.run(run).step(1).state for run in runs} == {"in-doubt"}
    other = "its batch cannot be repeated, because another email in it may no longer go (exited: unsubscribed)"
    assert [many.run(run).step(1).why for run in runs] == [other, "exited: unsubscribed", other]


def test_the_failure_of_a_batch_member_gets_a_job_that_will_raise(world: World) -> None:
    """RQ's failed list must show each failure, also of a step whose own job was taken off the queue."""
    many = batches(world)
    runs = [many.sign_up(email=f"p{n}@example.org") for n in range(2)]
    many.provider.faults.append(SendError("conflict", "no repetition can tell"))
    many.release()
    first = many.next_job()
    assert first is not None and many.sender.send(*first).result == "in-doubt"
    other = next(run for run in runs if run != first[0])
    assert many.next_job() == (other, 1)
    assert many.ledger.peek(other, 1).state == "in-doubt"


def test_a_suppressed_contact_gets_nothing_more(world: World) -> None:
    """An unsubscribe ends the run at once, also for a step that is on the queue already."""
    run = world.sign_up()
    world.release()
    assert world.ledger.suppress(ids.digest("ada@example.org"), "unsubscribed") == 1
    world.live(hours=300)
    assert world.provider.accepted == []
    assert (world.run(run).state, world.run(run).why) == ("exited", "unsubscribed")
    assert set(world.states(run)) == {"cancelled"}


def test_a_suppressed_address_is_only_remembered(world: World) -> None:
    """Signing up again does not lift a bounce; consent lifts an unsubscribe."""
    contact = ids.digest("ada@example.org")
    world.ledger.suppress(contact, "unsubscribed")
    run = world.sign_up()
    assert world.ledger.enrollment(run) is None
    world.sign_up(consent=True)
    assert world.run(run).state == "active"
    world.ledger.suppress(ids.digest("bo@example.org"), "bounced")
    assert world.ledger.enrollment(world.sign_up(email="bo@example.org", consent=True)) is None


def test_a_late_step_shifts_those_that_follow(world: World) -> None:
    """After three days of outage one email goes, and the gaps after it stay as they were."""
    run = world.sign_up()
    world.work()
    world.clock.advance(hours=24 + 72)
    world.work()
    assert world.states(run)[:3] == ["sent", "sent", "scheduled"]
    assert world.run(run).step(3).due == world.clock.now + 48 * 3_600_000


def test_an_email_is_written_while_waiting_for_its_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the rest is slept, and the request is frozen just before its turn; a turn that came meanwhile counts from
    when it is taken."""
    seconds, slept = [10.0], list[float]()
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: seconds[0]))

    def pass_by(length: float) -> None:
        seconds[0] += length
        world.clock.advance(seconds=length)

    def sleep(length: float) -> None:
        slept.append(length)
        pass_by(length)

    sender = dataclasses.replace(world.sender, sleep=sleep)
    for name, writing, left in (("ada", 0.2, 500), ("bo", 0.7, 700)):
        run = world.sign_up(email=f"{name}@example.org")
        began = world.clock.now
        world.redis.set("eg:hold:resend", began + 500)

        def written(item: Item, writing: float = writing, **with_: Any) -> dict[str, Any] | None:
            pass_by(writing)
            return compose(item, **with_)

        monkeypatch.setattr(sending, "compose", written)
        assert sender.send(run, 1).result == "sent"
        assert int(str(world.redis.get("eg:turns:resend")).split(",")[-1]) == began + left
    assert slept == [pytest.approx(0.27), pytest.approx(0.03), 0]


def test_the_sweeper_finds_a_lost_job(world: World) -> None:
    """A job that vanished is found again after its lease, on the second pass."""
    run = world.sign_up()
    world.release()
    world.redis.delete(ids.QUEUE)
    world.clock.advance(seconds=51)
    suspects, woken = world.ledger.sweep([])
    assert (suspects, woken) == ({f"{run}-1"}, 0)
    assert world.ledger.sweep(suspects)[1] == 1
    world.work()
    assert world.states(run)[0] == "sent"


def test_a_job_that_rq_lists_too_late_is_taken_off(world: World) -> None:
    """A report settled its email before the worker had listed the job; what still needs a person stays, and so does
    what is not ours."""
    run = world.sign_up()
    world.provider.faults.extend([SendError("conflict", "another body"), REFUSED])
    world.work()
    world.live(24)
    assert world.states(run)[:2] == ["in-doubt", "failed"]
    world.ledger.skip(run, 1, "found in the list", ended=True)
    world.redis.zadd("rq:failed:send", {f"{run}-1-1": 1, f"{run}-2-1": 2, "foreign": 3, f"{run[:-1]}9-1-1": 4})
    world.ledger.sweep([])
    assert world.redis.zrange("rq:failed:send", 0, -1) == [f"{run}-2-1", "foreign", f"{run[:-1]}9-1-1"]


def test_one_bad_entry_stops_no_other(world: World) -> None:
    """A foreign id, a missing hash and a hash of the wrong type are passed over."""
    run = world.sign_up()
    world.work()
    world.clock.advance(hours=24)
    now = world.clock.now / 1000
    world.redis.zadd(ids.SCHEDULED, {"foreign": now - 3, "gone-abc-1-1-1": now - 2, "bad-1-1-1": now - 1})
    world.redis.set(ids.enrollment_key("bad-1"), "text")
    world.redis.set(f"rq:job:{run}-2-1", "a hash of the wrong type")
    world.work()
    assert world.states(run)[1] == "sent"
    assert world.redis.zscore(ids.SCHEDULED, "foreign") is None


def test_the_frozen_request_is_kept_only_while_it_matters(world: World) -> None:
    """Nothing of an email's text stays in Redis once it is sent."""
    world.sign_up()
    world.provider.faults.append(LOST)
    world.work()
    (key,) = world.redis.keys("eg:frozen:*")
    assert json.loads(str(world.redis.hget(str(key), "body")))["to"] == ["ada@example.org"]
    world.clock.advance(seconds=60)
    world.work()
    assert world.redis.keys("eg:frozen:*") == []


def test_the_rate_limit_is_respected(ledger: Ledger, clock: Clock) -> None:
    """At two requests a second, two go at once, and the third has to wait for more than a second."""
    world = World(ledger, clock, SETTINGS.model_copy(update={"resend_rate": 2, "resend_batch_above": 10**6}))
    runs = [world.sign_up(email=f"p{n}@example.org") for n in range(4)]
    claims = [world.ledger.claim(run, 1, token="t", late=LATE, rate=2, batch_above=10**6) for run in runs]
    assert [claim.wait for claim in claims if isinstance(claim, Claimed)] == [0, 0]
    assert claims[2] == Refused(Refusal.PACE, clock.now + 1015, "")
    clock.advance(ms=500)
    third = world.ledger.claim(runs[2], 1, token="t", late=LATE, rate=2, batch_above=10**6)
    assert isinstance(third, Claimed) and third.wait == 515


@pytest.mark.parametrize(
    ("rate", "at_once", "following"),
    [(0.5, 1, 2030), (1, 1, 1015), (2.5, 2, 1015), (10, 10, 1015), (12, 6, 508), (25, 8, 339), (1000, 10, 11)],
)
def test_no_second_gets_more_turns_than_the_rate(
    ledger: Ledger, clock: Clock, rate: float, at_once: int, following: int
) -> None:
    """What fits into a second goes at once, or of more than ten a share of it several times a second."""
    turns = []
    for _ in range(round(rate * 3) + 3):
        clock.advance(seconds=ledger.pace("resend", rate, longest=5))
        turns.append(clock.now)
    assert [turn - turns[0] for turn in turns[: at_once + 1]] == [*[0] * at_once, following]
    assert all(later - earlier > 1000 for earlier, later in zip(turns, turns[max(int(rate), 1) :], strict=False))


def test_a_turn_taken_late_moves_the_turns_after_it(ledger: Ledger, clock: Clock) -> None:
    """What follows a turn by a second follows when the request really left; what follows another worker's turn does not
    wait longer."""
    world = World(ledger, clock, SETTINGS.model_copy(update={"resend_rate": 2, "resend_batch_above": 10**6}))
    began, turns = clock.now, []
    for name in ("slow", "quick"):
        claimed = ledger.claim(
            world.sign_up(email=f"{name}@example.org"), 1, token=name, late=LATE, rate=2, batch_above=10**6
        )
        assert isinstance(claimed, Claimed)
        turns.append(claimed.turn - began)
        clock.advance(ms=1)
    assert turns == [0, 1]
    slow = f"{ids.enrollment_prefix('christmas', 'slow@example.org')}-1-1"
    clock.advance(ms=498)
    ledger.settle([slow], Ending(Outcome.ACCEPTED, ids=["id-0"], turn=began, left=began + 400), token="slow")
    assert [ledger.pace("resend", 2, longest=5) for _ in range(2)] == [0.516, 0.915]


def test_a_postponed_look_comes_again(world: World) -> None:
    """A look that cannot happen now is postponed; the due instant stays."""
    run = world.sign_up()
    world.next_job()
    assert world.ledger.postpone(run, 1, 5) == world.clock.now + 5000
    world.clock.advance(seconds=5)
    assert [result.result for result in world.work()] == ["sent"]
    assert world.ledger.postpone(run, 1, 5) is None


def test_a_finished_run_is_kept_for_90_days_and_never_enrolls_again(world: World) -> None:
    """What prevents a second run outlives the run."""
    run = world.sign_up()
    world.live(hours=300)
    assert world.redis.pttl(ids.enrollment_key(run)) > 89 * 86_400_000
    world.redis.delete(ids.enrollment_key(run))
    world.sign_up()
    assert world.ledger.enrollment(run) is None
    assert world.redis.zcard(ids.OPEN) == 0


def test_a_lost_probe_is_not_the_last(world: World) -> None:
    """When the one look behind the gate is lost, the sweeper finds its step again, and the next probe opens the
    gate."""
    run = world.sign_up()
    world.provider.faults.append(SendError("closed", "Resend answered 401"))
    world.work()
    world.clock.advance(seconds=61)
    assert world.release() == 1
    world.redis.delete(ids.QUEUE)
    world.live(hours=1)
    assert world.states(run)[0] == "sent"


def test_a_step_whose_worker_died_can_still_be_late(world: World) -> None:
    """Under the policy `skip`, a claim that led to no post leaves nothing that would keep the step from being
    skipped."""
    christmas = world.sender.catalog.campaigns["christmas"]
    skipping = christmas.model_copy(update={"late": christmas.late.model_copy(update={"policy": "skip"})})
    world.sender = dataclasses.replace(
        world.sender, catalog=Catalog({"christmas": skipping}, world.sender.catalog.sources)
    )
    run = world.sign_up()
    claim(world, run)
    world.clock.advance(hours=13)
    world.live(hours=1)
    assert (world.run(run).step(1).state, world.run(run).step(1).why) == ("skipped", "late")


@pytest.mark.parametrize("look", [0, 2, 9])
def test_a_replaced_wake_up_is_not_released(world: World, look: int) -> None:
    """Only the step's own look counts; any other on the schedule is dropped, however many there are."""
    run = world.sign_up()
    world.work()
    world.redis.zadd(ids.SCHEDULED, {f"{run}-2-{look}": world.clock.now / 1000})
    world.clock.advance(hours=24)
    assert world.ledger.release()[:2] == (1, 1)
    assert world.redis.lrange(ids.QUEUE, 0, -1) == [f"{run}-2-1"]


@pytest.mark.parametrize("why", ["paused", "not yet", "waits for an earlier one"])
def test_a_step_scheduled_too_early_is_not_released(world: World, why: str) -> None:
    """However it came there: of a paused enrollment, before its time, or while an earlier email is still to go; the
    queue stays empty."""
    run = world.sign_up()
    if why != "waits for an earlier one":
        world.work()
    world.redis.delete(ids.QUEUE)
    if why == "paused":
        world.ledger.pause(run)
    if why != "not yet":
        world.redis.hset(ids.enrollment_key(run), "2.next", world.clock.now)
    world.redis.zadd(ids.SCHEDULED, {f"{run}-2-1": world.clock.now / 1000})
    assert world.ledger.release()[0] == 0
    assert world.redis.llen(ids.QUEUE) == 0
    kept = world.redis.zscore(ids.SCHEDULED, f"{run}-2-1")
    assert kept == (world.run(run).step(2).due / 1000 if why == "not yet" else None)


def test_a_released_step_has_one_lease_before_it_counts_as_lost(world: World) -> None:
    """However late it was released, the sweeper looks for it only when a worker has had its time."""
    run = world.sign_up()
    world.work()
    world.clock.advance(hours=25)
    world.release()
    assert world.redis.zscore(ids.OPEN, f"{run}-2") == world.clock.now + 45_000
    assert world.ledger.sweep(()) == (set(), 0)
