"""What the property test drives: a small Evergreen, run step by step, whose workers can rest, sleep or die between any
two calls."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from redis import Redis
from redis.exceptions import RedisError

from shared.ledger import ids
from shared.operations.enrollment_actions import EnrollmentActions
from shared.sending.confirmations import Confirmations
from shared.sending.sender import Sender
from tests.conftest import Clock
from tests.property.campaigns import CATALOG, NAMED, SHORTER, TEMPLATES
from tests.property.door_invariants import check_door
from tests.property.expiry import Expiry
from tests.property.invariants import Invariants
from tests.property.snapshots import ASK, BAD_ENDS, OPEN_STATES, Snapshot, snapshot
from tests.property.watch import Watch
from tests.property.watched import HOUR, FailingProvider, WatchedLedger
from tests.property.worker import rest
from tests.support.world import SETTINGS

GRACE = 5_000  # the sweeper's
ENOUGH = 100  # releases at one instant, far more than there are jobs


class Rig:
    """The ledger, the sender and the provider, with the scheduler's passes, RQ's workers and time moved manually.

    Attributes:
        clock: Redis's, which may step back.
        real: the provider's, which never does.
        latest: the latest time that Redis's clock showed.
        batches: whether emails may go in batches.
        notion: whether there is a Notion, and so a fence.
        suspects: what the sweeper's last pass found overdue.
        expiry: when Redis lets a key go.
        steady: whether Redis's clock was never set.
    """

    def __init__(
        self,
        redis: Redis,
        real: Clock,
        *,
        testing_mode: bool,
        batches: bool,
        rate: float,
        notion: bool,
        limits: Mapping[str, object],
    ) -> None:
        self.redis = redis
        self.batches, self.notion = batches, notion
        self.clock, self.real = Clock(), real
        self.latest = self.clock.now
        self.watch = Watch()
        self.ledger = WatchedLedger(redis, self.clock, self.real, self.watch)
        self.provider = FailingProvider(self.real, self.watch)
        changes: dict[str, object] = {
            "testing_mode": testing_mode,
            "resend_batch_above": 1 if batches else 10**6,
            "resend_rate": rate,
            **limits,
        }
        if notion:  # without one, there is no fence
            changes |= {"notion_token": "ntn_test", "notion_email_sequence_db_id": "tracker"}
        self.settings = SETTINGS.model_copy(update=changes)
        self.sender = Sender(self.ledger, CATALOG, TEMPLATES, self.provider, self.settings, self._sleep, self._awake)
        self.suspects: set[str] = set()
        self.steady = True
        self.expiry = Expiry(redis, self.clock)

    def see(self) -> Snapshot:
        """The ledger as it is now; the watch takes it in."""
        self.expiry.take_over()
        now = snapshot(self.redis)
        self.watch.saw(now)
        return now

    def check(self, now: Snapshot, *, idle: bool = True) -> None:
        """What must be true between any two decisions; whether all workers are `idle` tells if what is due must be on
        its way."""
        Invariants(now, self.watch, self.provider.taken, self.latest, idle and self.steady).check()
        check_door(self.redis, self.watch)

    def shorten(self) -> None:
        """Take the last letter out of the campaign's file; workers that began before have read the old one."""
        self.sender = replace(self.sender, catalog=SHORTER)

    def next_job(self) -> tuple[str, int] | None:
        """Take a job off the queue; like RQ, pass over one whose hash is gone. One that asks for confirmations is done
        at once."""
        while job := str(self.redis.lpop(ids.QUEUE) or ""):
            if self.redis.delete(f"rq:job:{job}"):
                if not job.startswith(ASK):
                    return ids.parse_job_id(job)
                self.ask()
        return None

    def ask(self) -> None:
        """What a job does that asks for confirmations: `scheduler.jobs.confirm`, without HTTP."""
        with suppress(RedisError):
            Confirmations(self.ledger, self.provider, self.settings, self._sleep).ask()

    @property
    def actions(self) -> EnrollmentActions:
        """The operator's actions."""
        return EnrollmentActions(self.ledger, self.sender.catalog, self.settings)

    def look(self, enrollment: str, step: int) -> None:
        """What a job does: `scheduler.jobs.send_step`, without HTTP.

        Where Redis refuses, it leaves the step to the sweeper."""
        id = ids.email_id(enrollment, step)
        try:
            found = self.ledger.peek(enrollment, step)
            if found.state in BAD_ENDS:
                self.watch.raised.add(id)
            if found.state not in OPEN_STATES or (found.next or 0) > self.clock.now:
                return
            if self._ask(enrollment, step) in BAD_ENDS:
                self.watch.raised.add(id)
        except RedisError:
            self.watch.lost.add(id)

    def _ask(self, enrollment: str, step: int) -> str:
        """The send function's answer, which is none where Redis refuses it."""
        try:
            return self.send(enrollment, step)
        except RedisError:
            self.watch.lost.add(ids.email_id(enrollment, step))  # RQ hears of no end
            self.ledger.postpone(enrollment, step, 5)
            return "unanswered"

    def send(self, enrollment: str, step: int) -> str:
        """What the send function does; a worker may still die before the answer arrives."""
        result = self.sender.send(enrollment, step)
        rest("end")
        return result.result

    def _sleep(self, seconds: float) -> None:
        self.forward(round(seconds * 1000))

    def _awake(self) -> float:
        return self.real.now / 1000

    def forward(self, ms: int) -> None:
        """Let time pass."""
        self.real.now += ms
        self.set_clock(self.clock.now + ms)

    def set_clock(self, now: int) -> None:
        """Have Redis's clock show this."""
        self.expiry.take_over()
        self.clock.now = now
        self.latest = max(self.latest, now)
        self.expiry.let_go()

    def following(self) -> int:
        """The next instant at which anything can happen, after now: a look, or the sweeper's pass where a look may be
        lost."""
        time, now = self.clock.now, snapshot(self.redis)
        until = int(now.gate.get("until") or 0)
        if until > time:
            return until
        first: dict[
            str, tuple[str, float]
        ] = {}  # of each run: the others wait for it, but for what a person wanted now
        for id, score in sorted(now.open.items(), key=lambda look: ids.parse_email_id(look[0])[1]):
            run, step = ids.parse_email_id(id)
            first.setdefault(run, (id, score))
            if f"{step}.forced" in now.runs[run]:
                first[id] = id, score
        known = {ids.email_id(*ids.parse_job_id(job)) for job in now.scheduled}
        instants = [round(score * 1000) for score in now.scheduled.values()]
        instants += [round(score) + GRACE for id, score in first.values() if score > time or id not in known]
        return min((instant if instant > time else time + GRACE for instant in instants), default=time + GRACE)

    def release(self, limit: int = 500) -> None:
        """A pass of the scheduler; its loop makes it once more where Redis refuses."""
        with suppress(RedisError):
            self.ledger.release(limit)

    def sweep(self) -> None:
        """The sweeper's pass, in the same way."""
        with suppress(RedisError):
            self.suspects, _ = self.ledger.sweep(self.suspects)

    def work_and_move_on(self) -> None:
        """Release, work and sweep until nothing moves at this instant, and go to the next."""
        for _ in range(ENOUGH):
            if not (any(self.ledger.release()[:2]) or self.redis.llen(ids.QUEUE)):
                break
            while job := self.next_job():
                self.look(*job)
        else:
            raise AssertionError("the schedule never becomes empty of what is due")
        self.sweep()
        self.forward(self.following() - self.clock.now)

    def states(self) -> dict[str, str]:
        """The state of every step, by email id."""
        return snapshot(self.redis).states

    def ends(self) -> dict[str, set[str]]:
        """How each step that is still open in an active run may end if nothing goes wrong any more."""
        now = snapshot(self.redis)
        ends: dict[str, set[str]] = {}
        for name, run in now.runs.items():
            for number, step in now.steps[name].items():
                if run["state"] == "active" and step["state"] in OPEN_STATES:
                    ends[ids.email_id(name, number)] = self._ends(name, run, number, step)
        return ends

    def _ends(self, name: str, run: Mapping[str, str], number: int, step: Mapping[str, str]) -> set[str]:
        if "posted" in step:
            sure = self.steady and not (self.watch.misled or self.watch.forgotten) and self._repeatable(step)
            return {"sent"} if sure else {"sent", "in-doubt"}
        campaign = self.sender.catalog.campaigns[run["slug"]]
        if not campaign.step(number):
            return {"skipped"}
        ends = {"sent", "skipped"} if campaign.late.policy == "skip" else {"sent"}
        if ids.email_id(name, number) in self.watch.forgotten:  # what it posts may not be what the provider knows
            ends |= {"in-doubt"}
        return ends | {"failed"} if number == NAMED and self._is_nameless(run) else ends

    def _is_nameless(self, run: Mapping[str, str]) -> bool:
        """Whether an email that names the business cannot be written: none is known, or a transactional one would print
        what nothing proves."""
        known = self.ledger.contact(run["contact"])
        if known is None or "business_name" not in known.fields:
            return True
        return run["kind"] == "transactional" and known.proves("first_name") and not known.proves("business_name")

    def _repeatable(self, step: Mapping[str, str]) -> bool:
        """Whether a request that was posted will surely be repeated as it was: all its members may go, and there is
        time."""
        members, first = self.redis.hmget(f"eg:frozen:{step['frozen']}", ["members", "first"])
        for member in str(members).split(",") if members else []:
            enrollment, number = ids.parse_email_id(member)
            run = self.ledger.enrollment(enrollment)
            if not run or run.state != "active" or run.step(number).state != "sending":
                return False
        start = max(self.latest, int(step["next"]), int(self.redis.hget(ids.GATE, "until") or 0))
        if self.provider.refused_in(step["frozen"]):
            return False
        return bool(members and first) and start + 5 * HOUR < int(step["posted"]) + 23 * HOUR
