"""The promise of the ledger under everything at once: workers that sleep or die between any two calls, a provider that fails in every way,
jobs lost and repeated, a clock that jumps, people who come and leave. On a real Valkey; hypothesis looks for a sequence that breaks it.

`make test` tries the same few examples each time. A long search with new ones:
`make property`. A sequence that breaks the promise is made as short as it gets,
printed as a program, and kept in `.hypothesis/` to be tried first the next time.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis

from shared.domain.forms import SignUp
from shared.intake import enrolling
from shared.ledger import ids
from tests.property import watch
from tests.property.decisions import PEOPLE, WHICH, PersonsDecide, pick
from tests.property.machine import CATALOG, GRACE, HOUR, SLACK, Rig
from tests.property.watch import BAD_ENDS, LEASE, OPEN_STATES
from tests.property.worker import Worker
from tests.support.provider_double import DAY

EXAMPLES = int(os.environ.get("EVERGREEN_PROPERTY_EXAMPLES", "0"))
SEARCHES = 2 if EXAMPLES else 1  # a long search goes in two processes
REST_WITHIN = 1500  # passes after which nothing may be open any more: two hours that the provider wants to be left alone take 600

LIKELY = ["lost", "lost", "ambiguous", "ambiguous", "accepted", "accepted"]
OUTCOMES = st.sampled_from([*LIKELY, "misanswered", "busy", "conflict", "refused", "refused", "rate", "wait", "wait", "quota", "closed"])
WAITS = st.sampled_from([0, 0, 0, 5, 90, 7200])  # the provider's Retry-After, in seconds
SPANS = st.integers(1, 2000) | st.sampled_from([5_000, 40_000, 46_000, 46_000, 61_000, HOUR, 3 * HOUR, 13 * HOUR, DAY - 40_000, 3 * DAY])
REASONS = st.sampled_from(["unsubscribed", "unsubscribed", "unsubscribed", "bounced", "complained", "manual"])
FORMS = list(CATALOG.campaigns)[:3]


class Promise(PersonsDecide):
    """Everything that can happen to a small Evergreen, in any order."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        redis.flushdb()
        self.redis = redis
        self.workers: list[Worker] = []
        self.jobs: list[str] = []  # every job id that was seen

    @initialize(
        testing_mode=st.booleans(),
        batches=st.booleans(),
        rate=st.sampled_from([1000, 1000, 2]),
        crowd=st.sampled_from([0, 1, 1, 2, 2, 3, 4]),
    )
    def begin(self, testing_mode: bool, batches: bool, rate: float, crowd: int) -> None:
        self.rig = Rig(self.redis, testing_mode=testing_mode, batches=batches, rate=rate)
        for email in PEOPLE[:crowd]:
            self._sign_up({"email": email, "business_name": "Engines", "assessment_score": 40}, "letters")

    @rule(
        email=st.sampled_from(PEOPLE),
        trigger=st.sampled_from(FORMS),
        first_name=st.sampled_from(["Ada", "Countess"]),
        business_name=st.sampled_from(["Engines", "Engines", None]),
        assessment_score=st.sampled_from([40, 40, None]),
        consent=st.sampled_from([None, True]),
        email_1_status=st.sampled_from([None, None, "sent", "failed"]),
        hours_ago=st.sampled_from([None, None, None, 0.5, 3, 30, 29 * 24]),
    )
    def sign_up(self, trigger: str, hours_ago: float | None, **form: object) -> None:
        sent_at = datetime.fromtimestamp(self.rig.clock.now / 1000 - hours_ago * 3600, UTC) if hours_ago else None
        self._sign_up(form | {"email_1_sent_at": sent_at}, trigger)

    @rule(outcome=OUTCOMES, retry_after=WAITS, looks=st.integers(0, 3))
    def a_job_is_done(self, outcome: str, retry_after: int, looks: int) -> None:
        self.a_worker_takes_a_job(outcome=outcome, retry_after=retry_after, looks=looks, calls=99)

    @rule(outcome=OUTCOMES, retry_after=WAITS, looks=st.integers(0, 3), calls=st.sampled_from([0, 1, 2, 3, 4, 4]))
    def a_worker_takes_a_job(self, outcome: str, retry_after: int, looks: int, calls: int) -> None:
        for _ in range(looks):
            if not self.redis.llen(ids.QUEUE):
                self.rig.forward(self.rig.following() - self.rig.clock.now)
                self.rig.ledger.release()
        if job := self.rig.next_job():
            self._start(*job)
            self._proceed(self.workers[-1], calls, outcome, retry_after)

    @precondition(lambda self: self.emails())
    @rule(which=WHICH)
    def a_worker_is_called(self, which: int) -> None:
        id = pick(self.emails(), which)
        self.rig.watch.lost.add(id)  # no job of RQ's will tell how it ends
        self.workers.append(Worker(id, lambda: self.rig.send(*ids.parse_email_id(id))))

    @precondition(lambda self: self.workers)
    @rule(which=WHICH, calls=st.integers(0, 5), outcome=OUTCOMES, retry_after=WAITS)
    def a_worker_goes_on(self, which: int, calls: int, outcome: str, retry_after: int) -> None:
        self._proceed(pick(self.workers, which), calls, outcome, retry_after)

    @rule(
        looks=st.integers(0, 3),
        calls=st.integers(1, 4),
        outcome=OUTCOMES,
        others_calls=st.integers(1, 5),
        others_outcome=OUTCOMES,
        wakes=st.booleans(),
    )
    def a_worker_oversleeps(self, looks: int, calls: int, outcome: str, others_calls: int, others_outcome: str, wakes: bool) -> None:
        """Its lease ends, another worker gets what it held, and perhaps it goes on only then."""
        before = list(self.workers)
        self.a_worker_takes_a_job(outcome=outcome, retry_after=0, looks=looks, calls=calls)
        self.rig.forward(LEASE + GRACE)
        self.rig.suspects, _ = self.rig.ledger.sweep(self.rig.ledger.sweep(())[0])
        sleepers = [worker for worker in self.workers if worker not in before]
        self.a_worker_takes_a_job(outcome=others_outcome, retry_after=0, looks=0, calls=others_calls)
        for sleeper in sleepers:
            self._proceed(sleeper, 99 if wakes else 0, outcome, 0)

    @rule(
        outcome=st.sampled_from(["conflict", "misanswered", "refused"]),
        looks=st.integers(0, 3),
        hours=st.sampled_from([0, 0, 1, 22, 24]),
        which=WHICH,
        anew=st.booleans(),
    )
    def an_email_ends_badly_and_is_tried_again(self, outcome: str, looks: int, hours: int, which: int, anew: bool) -> None:
        self.a_job_is_done(outcome=outcome, retry_after=0, looks=looks)
        self.rig.forward(hours * HOUR)
        if set(BAD_ENDS) & set(self.rig.states().values()):
            self.the_operator_retries(which=which, anew=anew)

    @precondition(lambda self: self.workers)
    @rule(which=WHICH)
    def a_worker_dies(self, which: int) -> None:
        self._kill(pick(self.workers, which))
        self._bury()

    @rule(ms=SPANS, back=st.sampled_from([False, False, True]))
    def the_clock_moves(self, ms: int, back: bool) -> None:
        if back:
            self.rig.clock.now = max(self.rig.clock.now - ms, self.rig.real.now - SLACK)
        else:
            self.rig.forward(ms)

    @rule(what=st.sampled_from(["release", "release", "release one", "sweep", "sweep", "sweep afresh", "sweep all"]))
    def the_scheduler_passes(self, what: str) -> None:
        if what.startswith("release"):
            self.rig.ledger.release(1 if what == "release one" else 500)
        else:
            known: dict[str, set[str]] = {"sweep": self.rig.suspects, "sweep afresh": set(), "sweep all": set(self.emails())}
            self.rig.suspects, _ = self.rig.ledger.sweep(known[what])

    @rule(passes=st.integers(1, 3))
    def all_goes_well(self, passes: int) -> None:
        for _ in range(passes):
            self.rig.work_and_move_on()

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, now=st.sampled_from(["first", "last", "due", "due long ago", "due soon", "lost", "all lost"]))
    def a_job_is(self, now: str, which: int) -> None:
        job = pick(self.jobs, which)
        if now.endswith("lost"):
            for lost in cast(list[str], self.redis.lrange(ids.QUEUE, 0, -1)) if now == "all lost" else [job]:
                self._lose(lost)
            return
        self.rig.watch.pushed.add(job)
        if now.startswith("due"):
            self.redis.zadd(ids.SCHEDULED, {job: self.rig.clock.now / 1000 + {"due": 0, "due long ago": -3600, "due soon": 30}[now]})
        else:
            self.redis.hset(f"rq:job:{job}", "status", "queued")
            (self.redis.lpush if now == "first" else self.redis.rpush)(ids.QUEUE, job)

    @precondition(lambda self: self.emails())
    @rule(
        which=WHICH, what=st.sampled_from(["postpone", "postpone", "cancel", "shorten", "leave", "leave", "stop or start"]), reason=REASONS
    )
    def somebody_steps_in(self, which: int, what: str, reason: str) -> None:
        enrollment, step = ids.parse_email_id(pick(self.emails(), which))
        if what == "postpone":  # as a worker does when the send function does not answer
            self.rig.ledger.postpone(enrollment, step, 5)
        elif what == "cancel":
            self.rig.ledger.skip(enrollment, step, "cancelled on the schedule")
        elif what == "shorten":
            self.rig.shorten()
        elif what == "leave":
            self._leave(ids.digest(pick(PEOPLE, which)), reason)
        else:
            self._stop_or_start()

    @invariant()
    def all_is_as_promised(self) -> None:
        for job in [*self.redis.lrange(ids.QUEUE, 0, -1), *self.redis.zrange(ids.SCHEDULED, 0, -1)]:
            if job not in self.jobs:
                self.jobs.append(job)
        self.rig.check(idle=not self.workers)

    def teardown(self) -> None:
        """With all faults gone, everything comes to its end; not looked at where something was wrong already."""
        sound = sys.exc_info()[0] is None and hasattr(self, "rig")
        for worker in self.workers:
            self._kill(worker)
        if sound:
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        if self.rig.watch.by_hand:
            self._stop_or_start()
        self.resume_all()
        ends = self.rig.ends()
        for _ in range(REST_WITHIN):
            if not self.redis.exists(ids.OPEN, ids.QUEUE, ids.SCHEDULED):
                break
            self.rig.work_and_move_on()
        self.rig.check()
        states = self.rig.states()
        todo = self.redis.zrange(ids.OPEN, 0, -1) or self.redis.zrange(ids.SCHEDULED, 0, -1) or self.redis.lrange(ids.QUEUE, 0, -1)
        assert todo == [], f"there is no rest: {states}"
        assert not set(OPEN_STATES) & set(states.values()), f"a step is forgotten: {states}"
        assert not (wrong := {id: states[id] for id, may in ends.items() if states[id] not in may}), f"could have been sent: {wrong}"
        hidden = {id for id, state in states.items() if state in BAD_ENDS} - self.rig.raised - self.rig.watch.lost
        assert not hidden, f"RQ's failed list does not show {hidden}"

    def _sign_up(self, form: Mapping[str, object], trigger: str) -> None:
        if form.get("consent"):
            self.rig.watch.suppressed[ids.digest(str(form["email"]))].discard("unsubscribed")
        intake = enrolling.Intake(self.rig.ledger, self.rig.sender.catalog, self.rig.settings, self.rig.clock.now, "request-1")
        enrolling.sign_up(SignUp.model_validate(form), trigger=trigger, intake=intake)
        self.note_dues()

    def _leave(self, contact: str, reason: str) -> None:
        self.rig.ledger.suppress(contact, reason)
        self.rig.watch.suppressed[contact].add(reason)
        for name, run in watch.runs(self.redis).items():
            if run["contact"] == contact and self.rig.watch.blocked(contact, run["kind"]) and run["state"] != "completed":
                self.rig.watch.ended.add(name)

    def _stop_or_start(self) -> None:
        self.rig.watch.by_hand = not self.rig.watch.by_hand
        if self.rig.watch.by_hand:
            self.rig.actions.stop_sending()
        else:
            self.rig.actions.start_sending()

    def _lose(self, job: str) -> None:
        self.rig.watch.lost.add(ids.email_id(*ids.parse_job_id(job)))
        self.redis.lrem(ids.QUEUE, 0, job)
        self.redis.delete(f"rq:job:{job}")

    def _start(self, enrollment: str, step: int) -> None:
        self.workers.append(Worker(ids.email_id(enrollment, step), lambda: self.rig.look(enrollment, step)))

    def _proceed(self, worker: Worker, calls: int, outcome: str, retry_after: int) -> None:
        self.rig.provider.outcome, self.rig.provider.retry_after = outcome, retry_after
        for _ in range(calls):
            worker.go_on()
        self.rig.provider.outcome = "accepted"
        self._bury()

    def _kill(self, worker: Worker) -> None:
        self.rig.watch.lost.add(worker.id)
        worker.kill()

    def _bury(self) -> None:
        self.workers = [worker for worker in self.workers if not worker.done]


@pytest.mark.parametrize("search", range(SEARCHES))
def test_the_promise_holds_whatever_happens(redis: Redis, monkeypatch: pytest.MonkeyPatch, search: int) -> None:
    """No sequence of events makes an email go out twice, too early, out of order or to somebody who left, or lets one be forgotten."""
    silent = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    monkeypatch.setattr("shared.intake.enrolling._logger", silent)
    monkeypatch.setattr("shared.sending.sender._logger", silent)
    monkeypatch.setattr("shared.operations.enrollment_actions._logger", silent)
    monkeypatch.setattr("shared.intake.meetings._logger", silent)
    run_state_machine_as_test(
        lambda: Promise(redis),  # type: ignore[arg-type]  # hypothesis only calls it
        settings=settings(
            max_examples=EXAMPLES // SEARCHES or 100,
            stateful_step_count=40,
            deadline=None,
            derandomize=not EXAMPLES,
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
