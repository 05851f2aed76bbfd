"""What fails by itself in the property test: Redis refuses, clocks are set, jobs get lost and come twice."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from shared.ledger import ids
from tests.property.decisions import WHICH, PersonsDecide, pick
from tests.property.refusals import REFUSALS
from tests.property.snapshots import ASK
from tests.property.watched import HOUR
from tests.support.provider_double import DAY

SPANS = st.integers(1, 2000) | st.sampled_from(
    [5_000, 40_000, 46_000, 46_000, 61_000, HOUR, 3 * HOUR, 13 * HOUR, DAY - 40_000, 3 * DAY]
)


class MachinesFail(PersonsDecide):
    """The rules in which no person decides."""

    @rule(what=st.sampled_from(REFUSALS), after=st.integers(0, 3), times=st.sampled_from([1, 1, 2]))
    def redis_will_refuse(self, what: str, after: int, times: int) -> None:
        self.rig.ledger.refusals.coming.extend(["nothing"] * after + [what] * times)

    @rule(ms=SPANS, how=st.sampled_from(["on", "on", "on", "back", "back", "ahead", "still"]))
    def the_clock_moves(self, ms: int, how: str) -> None:
        """Time passes, or Redis's clock is set back, set ahead, or stands still while the provider's goes on."""
        rig = self.rig
        if how == "on":
            rig.forward(ms)
        else:
            rig.steady = rig.watch.door.steady = False
            rig.set_clock(rig.clock.now + {"back": -ms, "ahead": ms, "still": 0}[how])
            rig.real.now += ms if how == "still" else 0

    @precondition(lambda self: self.rig.watch.jobs)
    @rule(which=WHICH, now=st.sampled_from(["first", "last", "due", "due long ago", "due soon", "lost", "all lost"]))
    def a_job_is(self, now: str, which: int) -> None:
        job = pick(list(self.rig.watch.jobs), which)
        if now.endswith("lost"):
            for lost in self.redis.lrange(ids.QUEUE, 0, -1) if now == "all lost" else [job]:
                self._lose(str(lost))
            return
        self.rig.watch.pushed.add(job)
        if now.startswith("due"):
            # What is void on the schedule is dropped, also where the same job waits on the queue to raise.
            self.rig.watch.lost.add(ids.email_id(*ids.parse_job_id(job)))
            self.redis.zadd(
                ids.SCHEDULED, {job: self.rig.clock.now / 1000 + {"due": 0, "due long ago": -3600, "due soon": 30}[now]}
            )
        else:
            self.redis.hset(f"rq:job:{job}", "status", "queued")
            (self.redis.lpush if now == "first" else self.redis.rpush)(ids.QUEUE, job)

    def _lose(self, job: str) -> None:
        self.redis.lrem(ids.QUEUE, 0, job)
        self.redis.delete(f"rq:job:{job}")
        if job.startswith(ASK):
            return
        self.rig.watch.lost.add(ids.email_id(*ids.parse_job_id(job)))
