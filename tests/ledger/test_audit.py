"""No open step is forgotten: what takes one off the list of open steps, what does not, and how one that is on no list
is found."""

from __future__ import annotations

import pytest
from redis import Redis
from redis.exceptions import RedisError

from shared.domain import timing
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.health import SAMPLE, Problem, read_health
from shared.ledger.orders import Resume
from tests.conftest import Clock
from tests.support.refusing import REFUSALS, Refuse, refusing
from tests.support.world import World

LEASE = 45


def sending(world: World, address: str) -> str:
    """An enrollment whose first email a worker holds."""
    run = world.sign_up(email=address)
    world.ledger.claim(run, 1, token="t", late={}, rate=1000, batch_above=10**6)
    assert world.states(run)[0] == "sending"
    return run


def lost(world: World) -> tuple[str, set[str]]:
    """An email whose worker died with its job, and what the sweeper's first pass reports."""
    run = world.sign_up()
    assert world.next_job() == (run, 1)
    world.clock.advance(seconds=LEASE + 6)
    suspects, _ = world.ledger.sweep(())
    assert suspects == {f"{run}-1"}
    return run, suspects


class TestSweeper:
    """What leaves the list of open steps, and what stays."""

    def test_a_refused_pass_forgets_no_step(self, world: World, refuse: Refuse) -> None:
        """The pass that would wake a step is refused whole; the next one wakes it, and its email goes out."""
        run, suspects = lost(world)
        refuse(True)
        with pytest.raises(RedisError):
            world.ledger.sweep(suspects)
        refuse(False)
        assert world.redis.zscore(ids.OPEN, f"{run}-1") is not None
        assert world.ledger.sweep(suspects) == (set(), 1)
        world.work()
        assert world.states(run)[0] == "sent"

    def test_an_error_of_any_other_kind_forgets_no_step(self, world: World) -> None:
        """Where the queue itself is of a wrong type, the pass ends there, and the step waits on the list."""
        run, suspects = lost(world)
        world.redis.set("rq:queues", "text")
        with pytest.raises(RedisError):
            world.ledger.sweep(suspects)
        assert world.redis.zscore(ids.OPEN, f"{run}-1") is not None

    def test_nothing_is_swept_behind_a_gate(self, world: World) -> None:
        """Nothing can be sent, so nothing is late; once the gate is open, lost steps are found."""
        run, suspects = lost(world)
        world.ledger.stop_sending("by hand")
        assert world.ledger.sweep(suspects) == (set(), 0)
        world.ledger.start_sending()
        assert world.ledger.sweep(suspects)[1] == 1
        world.work()
        assert world.states(run)[0] == "sent"

    def test_a_step_still_on_the_schedule_is_not_lost(self, world: World) -> None:
        """No scheduler was running to release it: it is only late."""
        run = world.sign_up()
        world.work()
        world.clock.advance(hours=25)
        assert world.ledger.sweep({f"{run}-2"}) == (set(), 0)

    def test_only_steps_that_need_no_wake_up_leave_the_list(self, world: World) -> None:
        """An enrollment that is gone or of a wrong type, an id that cannot be read, a step that does not exist, has
        ended or is paused."""
        gone, wrong, ended, paused, alone = (
            world.sign_up(email=f"{name}@example.org") for name in ("g", "w", "e", "p", "a")
        )
        held = sending(world, "h@example.org")
        world.redis.delete(ids.QUEUE, ids.enrollment_key(gone), ids.enrollment_key(wrong))
        world.redis.set(ids.enrollment_key(wrong), "text")
        world.ledger.skip(ended, 1, "by hand")
        world.ledger.pause(paused)
        leave = ["no email id", f"{gone}-1", f"{wrong}-1", f"{ended}-1", f"{paused}-1", f"{alone}-9"]
        world.redis.zadd(ids.OPEN, dict.fromkeys(leave, world.clock.now))
        world.clock.advance(seconds=LEASE + 6)
        overdue, _ = world.ledger.sweep(())
        assert overdue == {f"{alone}-1", f"{held}-1"}
        assert [id for id in leave if world.redis.zscore(ids.OPEN, id) is not None] == []
        assert world.ledger.sweep(overdue)[1] == 2
        world.live(hours=1)
        assert [world.states(run)[0] for run in (alone, held)] == ["sent", "sent"]


class TestAudit:
    """Open steps that are on no list."""

    def test_it_finds_each_kind_and_no_other(self, world: World) -> None:
        """Scheduled in an active enrollment, and sending in any; not what ended, waits in a pause, or is on the
        list."""
        early, cancelled, paused, well = (world.sign_up(email=f"{name}@example.org") for name in ("e", "c", "p", "w"))
        held, stopped = sending(world, "h@example.org"), sending(world, "s@example.org")
        world.ledger.suppress(ids.digest("s@example.org"), "unsubscribed")
        world.ledger.pause(paused)
        world.ledger.cancel(cancelled, "by hand")
        world.redis.set(ids.enrollment_key("christmas-wrong-1"), "a key of a wrong type")
        world.sign_up({"email": "tracked@example.org"})
        world.redis.zrem(ids.OPEN, f"{early}-2", f"{early}-7", f"{held}-1", f"{stopped}-1")
        lists = world.redis.dump(ids.OPEN)
        assert sorted(world.ledger.audit_all()) == sorted([f"{early}-2", f"{early}-7", f"{held}-1", f"{stopped}-1"])
        assert world.ledger.audit([well, paused, cancelled]) == []
        assert (world.redis.dump(ids.OPEN), world.redis.exists("eg:alert:unlisted")) == (lists, 0)

    def test_a_repair_gives_each_step_its_wake_up_back(self, world: World) -> None:
        """Due steps go now, others at their time; each once."""
        run = world.sign_up()
        world.redis.delete(ids.OPEN, ids.QUEUE, ids.SCHEDULED)
        assert world.ledger.audit_all(repair=True) == [f"{run}-{step}" for step in range(1, 8)]
        dues = {f"{run}-{step.number}": float(step.due) for step in world.run(run).steps[1:]}
        looks = {id: world.redis.zscore(ids.OPEN, id) for id in (f"{run}-{step}" for step in range(1, 8))}
        assert looks == {**dues, f"{run}-1": world.clock.now + LEASE * 1000}
        assert world.ledger.audit_all(repair=True) == []
        world.live(hours=24 * 40)
        assert world.states(run) == ["sent"] * 7
        assert world.provider.email_ids == [f"{run}-{step}" for step in range(1, 8)]

    def test_a_possibly_accepted_request_is_repeated_after_its_lease(self, world: World) -> None:
        """One that is sending comes back at the end of its lease, and not before."""
        run = sending(world, "h@example.org")
        world.redis.delete(ids.OPEN, ids.SCHEDULED)
        world.ledger.audit([run], repair=True)
        score = world.redis.zscore(ids.SCHEDULED, f"{run}-1-2")
        assert score == pytest.approx(world.clock.now / 1000 + LEASE)

    def test_a_repaired_step_waits_behind_the_gate(self, world: World) -> None:
        """Steps that are put back while sending is stopped go out when it is started."""
        run = world.sign_up()
        world.redis.delete(ids.OPEN, ids.QUEUE, ids.SCHEDULED)
        world.ledger.stop_sending("by hand")
        world.ledger.audit_all(repair=True)
        assert world.redis.llen(ids.QUEUE) == 0
        world.ledger.start_sending()
        world.work()
        assert world.states(run)[0] == "sent"

    def test_the_owner_gets_one_alert_with_the_count(self, world: World) -> None:
        """One message, with the number of emails and one of their ids; a read-only audit sends none."""
        run = world.sign_up()
        world.redis.delete(ids.LEADS)  # the lead that Ada is
        world.redis.zrem(ids.OPEN, f"{run}-2", f"{run}-3")
        world.ledger.audit_all()
        assert Alerts(world.ledger).take() is None
        world.ledger.audit_all(repair=True)
        alert = Alerts(world.ledger).take()
        assert alert and (alert.subject, alert.count, alert.detail) == ("unlisted", 2, f"{run}-3")

    def test_slices_reach_every_enrollment(self, world: World) -> None:
        """Regardless of their size, and of the other keys in between."""
        runs = [world.sign_up(email=f"p{number}@example.org") for number in range(30)]
        world.redis.zrem(ids.OPEN, *(f"{run}-4" for run in runs))
        cursor, slices = 0, 0
        found: set[str] = set()
        while slices == 0 or cursor:
            cursor, some = world.ledger.audit_slice(cursor, size=5)
            slices, found = slices + 1, found | set(some)
        assert slices > 10 and found == {f"{run}-4" for run in runs}

    @pytest.mark.parametrize("how", REFUSALS)
    def test_a_redis_that_refuses_writes_can_still_be_audited(self, world: World, how: str) -> None:
        """It reports what is on no list; a repair is refused whole, and works later."""
        run = world.sign_up()
        world.redis.zrem(ids.OPEN, f"{run}-2", f"{run}-3")
        with refusing(world.redis, how):
            assert world.ledger.audit_all() == [f"{run}-2", f"{run}-3"]
            with pytest.raises(RedisError):
                world.ledger.audit_all(repair=True)
            assert world.redis.zscore(ids.SCHEDULED, f"{run}-2-1") is not None
        assert world.ledger.audit_all(repair=True) == [f"{run}-2", f"{run}-3"]


class TestHealth:
    """Health sees what is on no list, in a sample."""

    @pytest.mark.parametrize("number", [1, 2, 7])
    def test_it_sees_everything_in_a_small_ledger(self, world: World, number: int) -> None:
        """One step of one enrollment is enough; once it is put back, health is OK."""
        run = world.sign_up()
        world.sign_up(email="bo@example.org")
        assert Problem.UNLISTED not in read_health(world.ledger).problems
        world.redis.zrem(ids.OPEN, f"{run}-{number}")
        health = read_health(world.ledger)
        assert health.unlisted == 1 and Problem.UNLISTED in health.problems
        world.ledger.audit_all(repair=True)
        assert read_health(world.ledger).unlisted == 0

    def test_it_looks_at_no_more_than_a_sample(self, redis: Redis, clock: Clock) -> None:
        """However many steps are on no list, it counts those of the sample, and makes as many calls as for none."""
        world = World(Ledger(redis, clock=clock), clock)
        for number in range(SAMPLE + 10):
            world.sign_up(email=f"p{number}@example.org")
        redis.delete(ids.OPEN)
        assert read_health(world.ledger).unlisted == SAMPLE * 7

    def test_it_works_in_a_full_redis(self, world: World) -> None:
        """It only asks."""
        run = world.sign_up()
        world.redis.zrem(ids.OPEN, f"{run}-1")
        with refusing(world.redis, "OOM"):
            assert read_health(world.ledger).unlisted == 1


def test_the_audit_finds_nothing_in_forty_days(world: World) -> None:
    """With a pause, a failure, a batch and an address that is suppressed on the way, the audit never finds anything."""
    runs = [world.sign_up(email=f"p{number}@example.org") for number in range(4)]
    for day in range(40):
        world.live(hours=24)
        if day == 2:
            world.ledger.pause(runs[0])
        if day == 3:
            world.ledger.suppress(ids.digest("p1@example.org"), "bounced")
        if day == 5:
            anchor, paused_at = world.run(runs[0]).anchor, world.run(runs[0]).paused_at or 0
            world.ledger.resume(
                Resume(enrollment=runs[0], paused_at=paused_at, anchor=anchor, dues={}, nexts={}, catch_up=timing.DAY)
            )
        assert world.ledger.audit_all() == []
    assert world.states(runs[0]) == ["sent"] * 7
