"""The workers of the property test: they take jobs, rest before any call, continue, oversleep and die; the provider
gives any answer."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from redis.exceptions import RedisError

from shared.core.errors import ActionError
from shared.ledger import ids
from tests.property.decisions import PEOPLE, WHICH, PersonsDecide, pick
from tests.property.machine import GRACE
from tests.property.snapshots import BAD_ENDS
from tests.property.watch import LEASE
from tests.property.watched import HOUR
from tests.property.worker import Worker

LIKELY = ["lost", "lost", "ambiguous", "ambiguous", "accepted", "accepted"]
SURE = ["refused", "rejected", "rate", "wait", "wait", "quota", "closed"]
OUTCOMES = st.sampled_from([*LIKELY, *SURE, "misanswered", "mute", "lost mute", "busy", "conflict"])
WAITS = st.sampled_from([0, 0, 0, 5, 90, 7200])  # the provider's Retry-After, in seconds


class WorkersWork(PersonsDecide):
    """The rules in which a worker makes its next calls."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[Worker] = []

    @rule(outcome=OUTCOMES, retry_after=WAITS, looks=st.integers(0, 3))
    def a_job_is_done(self, outcome: str, retry_after: int, looks: int) -> None:
        self.a_worker_takes_a_job(outcome=outcome, retry_after=retry_after, looks=looks, calls=99)

    @rule(outcome=OUTCOMES, retry_after=WAITS, looks=st.integers(0, 3), calls=st.sampled_from([0, 1, 2, 3, 4, 4]))
    def a_worker_takes_a_job(self, outcome: str, retry_after: int, looks: int, calls: int) -> None:
        for _ in range(looks):
            if not self.redis.llen(ids.QUEUE):
                self.rig.forward(self.rig.following() - self.rig.clock.now)
                self.rig.release()
        if job := self.rig.next_job():
            self.workers.append(Worker(ids.email_id(*job), lambda: self.rig.look(*job)))
            self._proceed(self.workers[-1], calls, outcome, retry_after)

    @rule(
        who=st.sets(st.sampled_from(PEOPLE), max_size=2),
        field=st.sampled_from(["to", "to", "headers", "from"]),
    )
    def the_provider_refuses_emails_to(self, who: set[str], field: str) -> None:
        """From now on, and no other ones; the field is the one that it finds wrong in them."""
        self.rig.provider.refuses = dict.fromkeys(who, f"Invalid `{field}` field.")

    @precondition(lambda self: self.emails())
    @rule(which=WHICH)
    def a_worker_is_called(self, which: int) -> None:
        id = pick(self.emails(), which)
        self.rig.watch.lost.add(id)  # no job of RQ's will tell how it ends
        self.workers.append(Worker(id, lambda: self._called(id)))

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
        sweep=st.sampled_from(["nothing", "nothing", "full", "unanswered"]),
    )
    def a_worker_oversleeps(
        self, looks: int, calls: int, outcome: str, others_calls: int, others_outcome: str, wakes: bool, sweep: str
    ) -> None:
        """Its lease ends, another worker gets what it held, and perhaps it continues only then."""
        before = list(self.workers)
        self.a_worker_takes_a_job(outcome=outcome, retry_after=0, looks=looks, calls=calls)
        self.rig.forward(LEASE + GRACE)
        self.rig.suspects = set()
        self.rig.sweep()
        self.rig.ledger.refusals.coming.appendleft(sweep)
        self.rig.sweep()
        sleepers = [worker for worker in self.workers if worker not in before]
        self.a_worker_takes_a_job(outcome=others_outcome, retry_after=0, looks=0, calls=others_calls)
        for sleeper in sleepers:
            self._proceed(sleeper, 99 if wakes else 0, outcome, 0)

    @rule(
        looks=st.integers(0, 3),
        calls=st.integers(1, 4),
        what=st.sampled_from(["pause", "cancel", "skip", "leave", "stop all"]),
        outcome=st.sampled_from(["accepted", "accepted", "lost", "wait"]),
    )
    def somebody_decides_while_an_email_is_on_its_way(self, looks: int, calls: int, what: str, outcome: str) -> None:
        before = list(self.workers)
        self.a_worker_takes_a_job(outcome=outcome, retry_after=0, looks=looks, calls=calls)
        for worker in [worker for worker in self.workers if worker not in before]:
            with suppress(ActionError, RedisError):
                self._stop(what, *ids.parse_email_id(worker.id))
            self._proceed(worker, 99, outcome, 0)

    def _stop(self, what: str, enrollment: str, step: int) -> None:
        found = self.rig.ledger.enrollment(enrollment)
        if what == "pause":
            self.rig.actions.pause(enrollment)
        elif what == "cancel":
            self.rig.actions.cancel(enrollment)
        elif what == "skip":
            self.rig.actions.skip(enrollment, step)
        elif what == "leave" and found:
            self.rig.ledger.suppress(found.contact, "unsubscribed")
        elif what == "stop all":
            self.rig.actions.stop_sending()

    @rule(
        outcome=st.sampled_from(["conflict", "misanswered", "refused", "rejected"]),
        looks=st.integers(0, 3),
        hours=st.sampled_from([0, 0, 1, 22, 24]),
        which=WHICH,
        anew=st.booleans(),
    )
    def an_email_ends_badly_and_is_tried_again(
        self, outcome: str, looks: int, hours: int, which: int, anew: bool
    ) -> None:
        self.a_job_is_done(outcome=outcome, retry_after=0, looks=looks)
        self.rig.forward(hours * HOUR)
        if set(BAD_ENDS) & set(self.rig.states().values()):
            self.the_operator_retries(which=which, anew=anew)

    @precondition(lambda self: self.workers)
    @rule(which=WHICH)
    def a_worker_dies(self, which: int) -> None:
        self.kill([pick(self.workers, which)])

    def kill(self, workers: list[Worker]) -> None:
        """These workers die where they are."""
        for worker in workers:
            self.rig.watch.lost.add(worker.id)
            worker.kill()
        self._bury()

    def _called(self, id: str) -> None:
        with suppress(RedisError):
            self.rig.send(*ids.parse_email_id(id))

    def _proceed(self, worker: Worker, calls: int, outcome: str, retry_after: int) -> None:
        provider = self.rig.provider
        provider.mute = outcome.endswith("mute")
        provider.outcome, provider.retry_after = outcome.removesuffix("mute").strip() or "accepted", retry_after
        for _ in range(calls):
            worker.go_on()
        provider.outcome, provider.mute = "accepted", False
        self._bury()

    def _bury(self) -> None:
        self.workers = [worker for worker in self.workers if not worker.done]
