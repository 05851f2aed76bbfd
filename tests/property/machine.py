"""What the property test drives: a small Evergreen by hand, whose workers can rest, sleep or die between any two calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from redis import Redis

from shared.core.errors import SendError
from shared.domain.catalog import Campaign, Catalog
from shared.emails.template_store import compile_templates
from shared.intake import meetings
from shared.integrations.provider import Accepted
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from shared.sending.sender import Sender
from tests.conftest import Clock
from tests.property import watch as seen
from tests.property.watch import BAD_ENDS, OPEN_STATES, Watch
from tests.property.worker import Killed, rest
from tests.support.provider_double import DAY, MemoryProvider
from tests.support.world import SETTINGS

HOUR = 3_600_000
# The provider knows a key for 24 hours, the ledger repeats for 23: the clock's steps back and a request's way may use up the rest.
SLACK = HOUR
GRACE = 5_000  # the sweeper's
ENOUGH = 100  # releases at one instant, far more than there are jobs

BOOKING = "calcom-booking"
_TEXT = "Subject: Letter {}\n\nDear {{{{ first_name | default('friend') }}}}, all the best."
_NAMED = "Subject: Letter {}\n\nTo {{{{ business_name }}}}, all the best."  # cannot be written to somebody who gave no business name


def _campaign(slug: str, hours: tuple[int, ...], **settings: Any) -> Campaign:
    """A campaign whose letters go out so many hours after the anchor; negative: before it."""
    steps: list[dict[str, Any]] = [
        {"number": n, "after" if h >= 0 else "before": f"{abs(h)}h", "template": f"letter-{n}"} for n, h in enumerate(hours, 1)
    ]
    if hours[0] >= 0:
        steps[0]["sent_by"] = "website-if-reported"
    return Campaign.model_validate({"slug": slug, "name": slug, "trigger": slug, "steps": steps} | settings)


CAMPAIGNS = (
    _campaign(
        "letters", (0, 1, 24), group="nurture", late={"after": "12h", "policy": "shift"}, requires=["assessment"], exit_on=["booked"]
    ),
    _campaign("course", (0, 2), group="nurture", late={"after": "2h", "policy": "send"}, reentry="when-finished"),
    _campaign("notices", (0, 24), kind="transactional", late={"after": "1h", "policy": "skip"}, reentry="when-finished"),
    _campaign(BOOKING, (-24, -1), kind="transactional", group="calls", late={"after": "30m", "policy": "skip"}, reentry="per-event"),
    _campaign(meetings.NO_SHOW, (1, 24), group="calls", late={"after": "12h", "policy": "shift"}, reentry="per-event", exit_on=["booked"]),
)
NAMED = 2  # the number of the letter that needs a business name
CATALOG = Catalog(
    {campaign.slug: campaign for campaign in CAMPAIGNS},
    {(campaign.slug, f"letter-{n}"): (_NAMED if n == NAMED else _TEXT).format(n) for campaign in CAMPAIGNS for n in (1, 2, 3)},
)
TEMPLATES = compile_templates(CATALOG, SETTINGS)
_LETTERS = CAMPAIGNS[0]
SHORTER = replace(CATALOG, campaigns={**CATALOG.campaigns, "letters": _LETTERS.model_copy(update={"steps": _LETTERS.steps[:-1]})})


def scores(redis: Redis, key: str) -> list[tuple[str, float]]:
    """The members of a sorted set and their scores."""
    return cast(list[tuple[str, float]], redis.zrange(key, 0, -1, withscores=True))


class WatchedLedger(Ledger):
    """The ledger, before whose decisions workers rest, and each of which is watched."""

    def __init__(self, redis: Redis, clock: Clock, watch: Watch) -> None:
        super().__init__(redis, clock=clock)
        self.watch = watch

    def decide(self, script: str, arguments: Mapping[str, Any] | int, *texts: str) -> Any:
        rest(script)
        answer = super().decide(script, arguments, *texts)
        if isinstance(arguments, Mapping):
            self._tell(script, arguments, answer, *texts)
        return answer

    def _tell(self, script: str, asked: Mapping[str, Any], answer: Any, body: str = "") -> None:
        if script == "claim" and answer[0] == "claimed":
            self.watch.claimed(self, answer[3], asked["token"])
        elif script == "claim" and answer[0] == "done":
            self.watch.ended_at_the_claim(ids.email_id(asked["enrollment"], asked["step"]))
        elif script == "post" and answer and not answer[2]:
            self.watch.let_go(asked["members"], asked["token"], asked["request"], body, self.now() + asked["spare"])
        elif script == "settle":
            self.watch.settled(asked["outcome"], asked["token"], self.now(), answer)


class FailingProvider(MemoryProvider):
    """A provider whose next answer is chosen.

    Attributes:
        outcome: `accepted`; `lost` and `misanswered`: taken, but the answer is of no use; or the kind of an error.
        retry_after: seconds, 0: not said.
    """

    def __init__(self, real: Clock, redis_clock: Clock, watch: Watch) -> None:
        super().__init__(real)
        self.real, self.redis_clock, self.watch = real, redis_clock, watch
        self.outcome, self.retry_after = "accepted", 0

    def _take(self, emails: list[dict[str, Any]], key: str) -> Accepted:
        left = self.real.now
        rest("provider")
        if self.real.now - left > SLACK - (self.real.now - self.redis_clock.now):
            raise Killed  # its own timeouts have ended such a worker long ago
        self.watch.arrived(key, json.dumps(emails if key.startswith("batch-") else emails[0]), emails)
        outcome, self.outcome = self.outcome, "accepted"
        if outcome == "lost":
            self.faults.append("lost")
        elif outcome not in ("accepted", "misanswered"):
            self.faults.append(SendError(outcome, f"the provider said {outcome}", self.retry_after or None))
        try:
            accepted = super()._take(emails, key)
        finally:
            rest("answer")
        if outcome == "misanswered":
            raise SendError("conflict", "the provider answered for another number of emails")
        return accepted


class Rig:
    """The ledger, the sender and the provider, with the scheduler's passes, RQ's workers and time moved by hand.

    Attributes:
        clock: Redis's, which may step back.
        real: the provider's, which never does.
        latest: the latest time that Redis's clock showed.
        suspects: what the sweeper's last pass found overdue.
        raised: the steps that RQ's failed list shows.
    """

    def __init__(self, redis: Redis, *, testing_mode: bool, batches: bool, rate: float) -> None:
        self.redis = redis
        self.clock, self.real = Clock(), Clock()
        self.latest = self.clock.now
        self.watch = Watch()
        self.ledger = WatchedLedger(redis, self.clock, self.watch)
        self.provider = FailingProvider(self.real, self.clock, self.watch)
        changes = {"testing_mode": testing_mode, "resend_batch_above": 1 if batches else 10**6, "resend_rate": rate}
        self.settings = SETTINGS.model_copy(update=changes)
        self.sender = Sender(self.ledger, CATALOG, TEMPLATES, self.provider, self.settings, sleep=self._sleep)
        self.suspects: set[str] = set()
        self.raised: set[str] = set()
        self._frozen: dict[tuple[str, int], int] = {}  # since when, by key and its expiry, which tells a new request of the same name

    def check(self, *, idle: bool = True) -> None:
        """What must be true between any two decisions; whether all workers are `idle` tells if what is due must be on its way."""
        prompt = idle and self.clock.now == self.real.now
        self.watch.check(self.redis, self.provider.email_ids, self.latest, prompt)

    def shorten(self) -> None:
        """Take the last letter out of the campaign's file; workers that began before have read the old one."""
        self.sender = replace(self.sender, catalog=SHORTER)

    def next_job(self) -> tuple[str, int] | None:
        """Take a job off the queue; like RQ, pass over one whose hash is gone."""
        while job := str(self.redis.lpop(ids.QUEUE) or ""):
            if self.redis.delete(f"rq:job:{job}"):
                return ids.parse_job_id(job)
        return None

    @property
    def actions(self) -> EnrollmentActions:
        """The operator's hand."""
        return EnrollmentActions(self.ledger, self.sender.catalog, self.settings)

    def look(self, enrollment: str, step: int) -> None:
        """What a job does: `scheduler.jobs.send_step`, without HTTP."""
        id = ids.email_id(enrollment, step)
        found = self.ledger.peek(enrollment, step)
        if found.state in BAD_ENDS:
            self.raised.add(id)
        if found.state not in OPEN_STATES or (found.next or 0) > self.clock.now:
            return
        if self.send(enrollment, step) in BAD_ENDS:
            self.raised.add(id)

    def send(self, enrollment: str, step: int) -> str:
        """What the send function does; a worker may still die before the answer arrives."""
        result = self.sender.send(enrollment, step)
        rest("end")
        return result.result

    def _sleep(self, seconds: float) -> None:
        self.forward(round(seconds * 1000))

    def forward(self, ms: int) -> None:
        """Let time pass, and Redis forget frozen requests after a day."""
        for key in self.redis.scan_iter("eg:frozen:*"):
            self._frozen.setdefault((key, self.redis.pexpiretime(key)), self.real.now)
        self.clock.now += ms
        self.real.now += ms
        self.latest = max(self.latest, self.clock.now)
        for (key, expires), since in list(self._frozen.items()):
            if self.real.now - since >= DAY:
                del self._frozen[key, expires]
                if self.redis.pexpiretime(key) == expires:
                    self.redis.delete(key)

    def following(self) -> int:
        """The next instant at which anything can happen, after now: a look, or the sweeper's pass where a look may be lost."""
        now = self.clock.now
        until = int(self.redis.hget(ids.GATE, "until") or 0)
        if until > now:
            return until
        looks = scores(self.redis, ids.SCHEDULED)
        first: dict[str, tuple[str, float]] = {}  # of each run: the others wait for it, but for what a person wanted now
        for id, score in sorted(scores(self.redis, ids.OPEN), key=lambda look: ids.parse_email_id(look[0])[1]):
            run, step = ids.parse_email_id(id)
            first.setdefault(id if self.redis.hexists(ids.enrollment_key(run), f"{step}.forced") else run, (id, score))
        known = {ids.email_id(*ids.parse_job_id(job)) for job, _ in looks}
        instants = [round(score * 1000) for _, score in looks]
        instants += [round(score) + GRACE for id, score in first.values() if score > now or id not in known]
        return min((instant if instant > now else now + GRACE for instant in instants), default=now + GRACE)

    def work_and_move_on(self) -> None:
        """Release, work and sweep until nothing moves at this instant, and go to the next."""
        for _ in range(ENOUGH):
            if not (any(self.ledger.release()[:2]) or self.redis.llen(ids.QUEUE)):
                break
            while job := self.next_job():
                self.look(*job)
        else:
            raise AssertionError("the schedule never becomes empty of what is due")
        self.suspects, _ = self.ledger.sweep(self.suspects)
        self.forward(self.following() - self.clock.now)

    def states(self) -> dict[str, str]:
        """The state of every step, by email id."""
        found = seen.runs(self.redis)
        return {ids.email_id(name, n): step["state"] for name, run in found.items() for n, step in seen.steps(run).items()}

    def ends(self) -> dict[str, set[str]]:
        """How each step that is still open in an active run may end if nothing goes wrong any more."""
        found = seen.runs(self.redis)
        ends: dict[str, set[str]] = {}
        for name, run in found.items():
            for number, step in seen.steps(run).items():
                if run["state"] == "active" and step["state"] in OPEN_STATES:
                    ends[ids.email_id(name, number)] = self._ends(run, number, step)
        return ends

    def _ends(self, run: Mapping[str, str], number: int, step: Mapping[str, str]) -> set[str]:
        if "posted" in step:
            return {"sent"} if self._repeatable(step) else {"sent", "in-doubt"}
        campaign = self.sender.catalog.campaigns[run["slug"]]
        if not campaign.step(number):
            return {"skipped"}
        ends = {"sent", "skipped"} if campaign.late.policy == "skip" else {"sent"}
        nameless = number == NAMED and not self.redis.hexists(f"eg:contact:{run['contact']}", "business_name")
        return ends | {"failed"} if nameless else ends

    def _repeatable(self, step: Mapping[str, str]) -> bool:
        """Whether a request that was posted will surely be repeated as it was: all its members may go, and there is time."""
        members = self.redis.hget(f"eg:frozen:{step['frozen']}", "members")
        for member in str(members).split(",") if members else []:
            enrollment, number = ids.parse_email_id(member)
            run = self.ledger.enrollment(enrollment)
            if not run or run.state != "active" or run.step(number).state != "sending":
                return False
        start = max(self.latest, int(step["next"]), int(self.redis.hget(ids.GATE, "until") or 0))
        return bool(members) and start + 5 * HOUR < int(step["posted"]) + 23 * HOUR
