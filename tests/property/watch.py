"""The watch of the property test: it sees every decision of the ledger and every request at the provider, and knows what must be true."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from redis import Redis

from shared.domain.enrollments import Enrollment
from shared.ledger import ids
from shared.ledger.client import Ledger

LEASE = 45_000
OPEN_STATES = ("scheduled", "sending")
HOLDING = ("active", "paused")
BAD_ENDS = ("failed", "in-doubt")
_SURELY_NOT = ("refused", "waiting", "dissolved")


def runs(redis: Redis) -> dict[str, dict[str, str]]:
    """Every enrollment there ever was, as its hash, by id."""
    last = cast(dict[str, str], redis.hgetall("eg:runs"))
    names = [f"{key}-{number}" for key, count in last.items() for number in range(1, int(count) + 1)]
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.hgetall(ids.enrollment_key(name))
    return dict(zip(names, pipe.execute(), strict=True))


def steps(run: Mapping[str, str]) -> dict[int, dict[str, str]]:
    """The steps in an enrollment's hash, by number."""
    found: dict[int, dict[str, str]] = {int(number): {} for number in run["steps"].split(",")}
    for key, value in run.items():
        number, dot, name = key.partition(".")
        if dot and number.isdigit():
            found[int(number)][name] = value
    return found


def email_id(email: Mapping[str, Any]) -> str:
    """The id of an email, from its tag."""
    return str(next(tag["value"] for tag in email["tags"] if tag["name"] == "email_id"))


@dataclass
class Watch:
    """What was seen.

    Attributes:
        first_due: when each step was due at first, by email id: every step there is.
        begun: steps that were claimed before: these were due, even if the clock has stepped back since.
        leases: who holds a step, and until when.
        unlearned: requests (key and body) that were let go and whose outcome the ledger was not told, by email id and token.
        doubted: steps that were in doubt at some time; these hold no other back.
        suppressed: the reasons that were acknowledged and not lifted, by contact.
        ended: the runs that an acknowledged suppression, exit or cancellation ended.
        held: the runs whose pause was acknowledged.
        forced: steps that a person has wanted now, or again; these wait for nothing.
        skipped: steps that a person has left out.
        anew: how often a person let a step be sent anew that may have been accepted.
        by_hand: whether all sending is stopped by hand.
        lost: steps a look at which was lost: the sweeper must find them, and RQ's failed list need not show them.
        pushed: jobs that the test itself put back; only these may be void, or on the queue too early.
    """

    first_due: dict[str, int] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    leases: dict[str, tuple[str, int]] = field(default_factory=dict)
    unlearned: defaultdict[str, dict[str, tuple[str, str]]] = field(default_factory=lambda: defaultdict(dict))
    doubted: set[str] = field(default_factory=set)
    suppressed: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    ended: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    forced: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    anew: Counter[str] = field(default_factory=Counter)
    by_hand: bool = False
    lost: set[str] = field(default_factory=set)
    pushed: set[str] = field(default_factory=set)

    def blocked(self, contact: str, kind: str) -> bool:
        """Whether an acknowledged suppression forbids this kind of email to a contact."""
        return bool(self.suppressed[contact] - ({"unsubscribed"} if kind == "transactional" else set()))

    def claimed(self, ledger: Ledger, items: Sequence[Sequence[Any]], token: str) -> None:
        """A claim gave these items, which begin with enrollment and step."""
        assert not self.by_hand, "claimed while all sending is stopped by hand"
        for enrollment, number, *_ in items:
            run = ledger.enrollment(enrollment)
            assert run is not None
            self._claimed(run, number, token, ledger.now())

    def _claimed(self, run: Enrollment, number: int, token: str, now: int) -> None:
        step, id = run.step(number), ids.email_id(run.id, number)
        assert run.state == "active" and run.id not in self.ended, f"{id} is claimed, and its run has ended"
        assert run.id not in self.held, f"{id} is claimed, and its run is paused"
        assert not self.blocked(run.contact, run.kind), f"{id} is claimed for a suppressed address"
        if id not in self.forced:
            assert now >= max(step.due, self.first_due[id]) or id in self.begun, f"{id} is claimed before it is due"
            earlier = [s for s in run.steps if s.number < number and s.state in OPEN_STATES]
            assert not earlier or self.unlearned.get(id), f"{id} is claimed before an earlier step"
        holder, until = self.leases.get(id, ("", 0))
        assert until <= now, f"{id} is claimed while {holder} holds it"
        self.leases[id] = token, now + LEASE
        self.begun.add(id)

    def ended_at_the_claim(self, id: str) -> None:
        """A claim found the step ended, or ended it because its lease was over: nobody holds it, also when the clock is set back then."""
        self.leases.pop(id, None)

    def again(self, id: str) -> None:
        """A person has let a step be tried again that had ended."""
        self.forced.add(id)
        self.leases.pop(id, None)

    def sent_anew(self, id: str) -> None:
        """A person has let a step be sent again although it may have been accepted: what was posted before counts no more."""
        self.anew[id] += 1
        self.unlearned.pop(id, None)

    def let_go(self, members: Sequence[str], token: str, request: str, body: str, until: int) -> None:
        """A request may be posted, if its answer comes before `until`."""
        for id in members:
            assert id not in self.skipped, f"{id} may be posted, and was skipped"
            assert self.leases[id][0] == token and until <= self.leases[id][1], f"{id} may be posted without its lease"
            self.unlearned[id][token] = request, body

    def arrived(self, key: str, body: str, emails: Sequence[Mapping[str, Any]]) -> None:
        """A request is at the provider. While an earlier one may have been accepted, it must be the very same."""
        for id in map(email_id, emails):
            assert id in self.anew or set(self.unlearned[id].values()) <= {(key, body)}, (
                f"{id} was perhaps accepted, and is posted as another request"
            )

    def settled(self, outcome: str, token: str, now: int, answer: Sequence[Sequence[str]]) -> None:
        """The ledger was told an outcome, and answered with id, state and next look of each member."""
        for id, state, following, *_ in answer:
            holder, until = self.leases.get(id, ("", 0))
            held = holder == token
            if outcome != "accepted" and not held and until > now:
                assert (state, following) == ("sending", str(until)), f"{id} was settled by who does not hold it"
            if outcome == "accepted":
                self.unlearned.pop(id, None)
            elif held and outcome in _SURELY_NOT and state != "in-doubt":
                self.unlearned[id].pop(token, None)
            if held or outcome == "accepted":
                self.leases.pop(id, None)

    def check(self, redis: Redis, accepted: Sequence[str], latest: int, prompt: bool) -> None:
        """What must be true between any two decisions.

        Args:
            accepted: the email ids that the provider took, in order.
            latest: the latest time that the ledger's clock ever showed: what is due after it was never released.
            prompt: whether what is due must be on its way: no look is in a worker's hands, and the clock never stepped back.
        """
        scheduled = set(cast(list[str], redis.zrange(ids.SCHEDULED, 0, -1)))
        queued = set(cast(list[str], redis.lrange(ids.QUEUE, 0, -1)))
        found = runs(redis)
        looks: dict[str, str] = {}
        for name, run in found.items():
            first = run["state"] == "active"
            for number, step in steps(run).items():
                id = ids.email_id(name, number)
                self._check_end(id, step, id in accepted)
                if step["state"] == "scheduled" and run["state"] == "paused":
                    continue
                if step["state"] in OPEN_STATES:
                    assert step["state"] == "sending" or run["state"] == "active", f"{id} is scheduled, and its run is {run['state']}"
                    looks[id] = f"{id}-{step['look']}"
                    if "lease" not in step and int(step["next"]) > latest:
                        assert looks[id] in scheduled, f"{id} waits for a look that is not on the schedule"
                        assert looks[id] not in queued - self.pushed, f"{id} is on the queue too early"
                    elif "lease" not in step and (first or "forced" in step) and prompt and id not in self.lost:
                        assert looks[id] in scheduled | queued, f"{id} is due, and its look is nowhere"
                    first = False
        assert set(cast(list[str], redis.zrange(ids.OPEN, 0, -1))) == set(looks), "the open steps are not those that are looked at"
        assert scheduled <= set(looks.values()) | self.pushed, "a void look is on the schedule"
        for job in scheduled | queued:
            assert ids.email_id(*ids.parse_job_id(job)) in self.first_due, f"{job} is no look at any step"
        self._check_runs(found, accepted)

    def _check_end(self, id: str, step: Mapping[str, str], taken: bool) -> None:
        state = step["state"]
        if state == "sent":
            assert step["by"] == "website" or taken, f"{id} is sent, and nobody took it"
        if state in BAD_ENDS:
            assert step.get("why"), f"{id} is {state}, and nobody knows why"
        if state == "in-doubt":
            self.doubted.add(id)
            assert self.unlearned.get(id), f"{id} is in doubt, and its outcome is known"
        if (taken or self.unlearned.get(id)) and id not in self.anew:
            may_be = {"sending", "sent", "in-doubt"} | ({"skipped"} if id in self.skipped else set())
            assert state in may_be, f"{id} was perhaps accepted, and is {state}"

    def _check_runs(self, found: Mapping[str, Mapping[str, str]], accepted: Sequence[str]) -> None:
        twice = {id for id, count in Counter(accepted).items() if count > 1 + self.anew[id]}
        assert not twice, f"accepted twice: {twice}"
        for name in found:
            order = [step for enrollment, step in map(ids.parse_email_id, accepted) if enrollment == name]
            certain = [step for step in order if ids.email_id(name, step) not in self.doubted | self.forced]
            assert certain == sorted(certain), f"{name} went out in the order {order}"
        groups = [(run["contact"], run["group"]) for run in found.values() if run["state"] in HOLDING and "group" in run]
        assert len(set(groups)) == len(groups), "a contact has two open runs in one group"
