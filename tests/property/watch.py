"""The watch of the property test: it sees every decision of the ledger and every request at the provider, and knows
what was decided."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from shared.domain.enrollments import Enrollment
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.property.door_watch import REMEMBERED, Door
from tests.property.snapshots import OPEN_STATES, Snapshot

LEASE = 45_000
_SURELY_NOT = ("refused", "rejected", "waiting", "dissolved")


def email_id(email: Mapping[str, Any]) -> str:
    """The id of an email, from its tag."""
    return str(next(tag["value"] for tag in email["tags"] if tag["name"] == "email_id"))


@dataclass
class Watch:
    """What was seen. What a script decided counts, whether or not its answer has arrived.

    Attributes:
        first_due: when each step was due at first, by email id: every step there is.
        begun: steps that were claimed before: these were due, even if the clock has stepped back since.
        leases: who holds a step, and until when.
        whose: the contact and the kind of each enrollment that was claimed.
        unlearned: requests (key and body) that were let go and whose outcome the ledger was not told, by email id and
            token.
        doubted: steps that were in doubt at some time; these hold no other back.
        suppressed: the reasons that were not lifted, by contact.
        ended: the enrollments that have exited or were cancelled.
        held: those that are paused.
        skipped: the steps that were left out.
        given_up: those that a person left out, perhaps in doubt.
        forced: steps that a person has wanted now, or again; these wait for nothing.
        anew: how often a person let a step be sent again that may have been accepted.
        by_hand: whether all sending is stopped manually.
        fenced: whether another copy of the ledger has taken over.
        lost: steps a look at which was lost: the sweeper must find them, and RQ's failed list need not show them.
        jobs: every job id that was seen, in order.
        pushed: jobs that the test itself put back; only these may be void, or on the queue too early.
        raised: the steps that RQ's failed list shows.
        misled: whether an answer lay for more than an hour before the ledger was told by it what time it is at the
            provider.
        unknown: whether the ledger was lost, and knows nothing yet of what was before.
        delivered: the keys of the calendars' events that began a run.
        restored: whether the ledger was ever restored.
        forgotten: steps that were posted, of which a ledger that went back in time knows nothing.
        excused: how often a forgotten step may be accepted once more, as no key could tell the provider.
        door: what strangers and owners of mailboxes did.
    """

    first_due: dict[str, int] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    leases: dict[str, tuple[str, int]] = field(default_factory=dict)
    whose: dict[str, tuple[str, str]] = field(default_factory=dict)
    unlearned: defaultdict[str, dict[str, tuple[str, str]]] = field(default_factory=lambda: defaultdict(dict))
    doubted: set[str] = field(default_factory=set)
    suppressed: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    ended: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    forced: set[str] = field(default_factory=set)
    anew: Counter[str] = field(default_factory=Counter)
    by_hand: bool = False
    fenced: bool = False
    lost: set[str] = field(default_factory=set)
    jobs: dict[str, None] = field(default_factory=dict)
    pushed: set[str] = field(default_factory=set)
    raised: set[str] = field(default_factory=set)
    misled: bool = False
    unknown: bool = False
    restored: bool = False
    delivered: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    excused: Counter[str] = field(default_factory=Counter)
    door: Door = field(default_factory=Door)

    def blocked(self, contact: str, kind: str) -> bool:
        """Whether a suppression forbids this kind of email to a contact."""
        return bool(self.suppressed[contact] - ({"unsubscribed"} if kind == "transactional" else set()))

    def saw(self, now: Snapshot) -> None:
        """Take in what the ledger holds: steps that have come into being, and enrollments that ended before their
        time."""
        for name, steps in now.steps.items():
            for number, step in steps.items():
                self.first_due.setdefault(ids.email_id(name, number), int(step["due"]))
        self.ended.update(now.in_state("exited", "cancelled"))
        self.jobs |= dict.fromkeys([*now.queue, *now.scheduled])

    def decided(self, script: str, asked: Mapping[str, Any], answer: Any, now: int) -> None:
        """A person or a form has decided something."""
        match script:
            case "pause" if answer == "paused":
                self.held.add(asked["enrollment"])
            case "resume" if answer in ("active", "completed", "failed"):
                self.held.discard(asked["enrollment"])
            case "skip" if answer == "skipped":
                self.skipped.add(ids.email_id(asked["enrollment"], asked["step"]))
                self.given_up.update([ids.email_id(asked["enrollment"], asked["step"])] if asked.get("ended") else [])
            case "hurry" if not answer[0]:
                self.forced.add(ids.email_id(asked["enrollment"], asked["step"]))
            case "gate":
                self.by_hand = "reason" in asked
            case "suppress":
                self.suppressed[asked["contact"]].add(asked["reason"])
            case "receive" if answer == "suppressed":
                self.suppressed[asked["contact"]].add(asked["what"])
            case "lift":
                self.suppressed[asked["contact"]].difference_update(answer)
            case "enroll" if asked.get("consent") and "visit" not in asked and answer[0] in REMEMBERED:
                self.suppressed[asked["contact"]].discard("unsubscribed")
            case "confirmation" if answer:
                self.door.asks(self, answer, now)
        self.door.decided(script, asked, answer, now)

    def claimed(self, ledger: Ledger, items: Sequence[Sequence[Any]], token: str) -> None:
        """A claim gave these items, which begin with enrollment and step."""
        for enrollment, number, *_ in items:
            run = ledger.enrollment(enrollment)
            assert run is not None
            self._claimed(run, number, token, ledger.now())

    def _claimed(self, run: Enrollment, number: int, token: str, now: int) -> None:
        step, id = run.step(number), ids.email_id(run.id, number)
        self.first_due.setdefault(id, step.due)  # it may have begun at the end of another run, just now
        assert run.state == "active", f"{id} is claimed, and its run is {run.state}"
        self.whose[run.id] = run.contact, run.kind
        self._may_go(id, "is claimed")
        if not step.posted:
            self.door.claimed(run.contact)
        if id not in self.forced:
            assert now >= max(step.due, self.first_due[id]) or id in self.begun, f"{id} is claimed before it is due"
            earlier = [s for s in run.steps if s.number < number and s.state in OPEN_STATES]
            assert not earlier or self.unlearned.get(id), f"{id} is claimed before an earlier step"
        holder, until = self.leases.get(id, ("", 0))
        assert until <= now, f"{id} is claimed while {holder} holds it"
        self.leases[id] = token, now + LEASE
        self.begun.add(id)

    def _may_go(self, id: str, what: str) -> None:
        """Nothing has stopped a step."""
        enrollment, _ = ids.parse_email_id(id)
        assert not self.fenced, f"{id} {what}, and another copy is sending"
        assert not self.by_hand, f"{id} {what}, and all sending is stopped manually"
        assert enrollment not in self.ended, f"{id} {what}, and its run has ended"
        assert enrollment not in self.held, f"{id} {what}, and its run is paused"
        assert id not in self.skipped, f"{id} {what}, and was left out"
        assert not self.blocked(*self.whose[enrollment]), f"{id} {what}, and the address is suppressed"

    def ended_at_the_claim(self, id: str) -> None:
        """A claim found the step ended, or ended it because its lease was over: no worker holds it, even if the clock
        is set back then."""
        self.leases.pop(id, None)

    def again(self, id: str) -> None:
        """A person has let a step be tried again that had ended."""
        self.forced.add(id)
        self.raised.discard(id)
        self.skipped.discard(id)
        self.leases.pop(id, None)

    def sent_anew(self, id: str) -> None:
        """A person has let a step be sent again although it may have been accepted: what was posted before no longer
        counts."""
        self.anew[id] += 1
        self.unlearned.pop(id, None)

    def let_go(self, members: Sequence[str], token: str, request: str, body: str, until: int) -> None:
        """A request may be posted, if its answer comes before `until`: from here on it is on its way and cannot be
        stopped."""
        for id in members:
            assert self.leases[id][0] == token and until <= self.leases[id][1], f"{id} may be posted without its lease"
            self._may_go(id, "may leave")
            self.unlearned[id][token] = request, body

    def given_back(self, members: Iterable[str], token: str) -> None:
        """At the last look these may not leave, and no worker holds them any longer."""
        for id in members:
            if self.leases.get(id, ("", 0))[0] == token:
                self.leases.pop(id)

    def arrived(self, key: str, body: str, emails: Iterable[Mapping[str, Any]]) -> None:
        """A request is at the provider. While an earlier one may have been accepted, it must be the very same."""
        for id in {email_id(email) for email in emails} - set(self.anew) - self.forgotten:
            assert set(self.unlearned[id].values()) <= {(key, body)}, (
                f"{id} was perhaps accepted, and is posted as another request"
            )

    def settled(self, ending: Mapping[str, Any], now: int, answer: Sequence[Sequence[str]]) -> None:
        """The ledger was told how a request ended, and answered with id, state and next look of each member."""
        token = ending["token"]
        for id, state, following, *_ in answer:
            outcome = ending.get("others", {}).get(id, ending)["outcome"]
            holder, until = self.leases.get(id, ("", 0))
            held = holder == token
            if outcome != "accepted" and not held and until > now:
                assert (state, following) == ("sending", str(until)), f"{id} was settled by who does not hold it"
            if outcome == "accepted":
                self.unlearned.pop(id, None)
                self.door.written.update(self.whose.get(ids.parse_email_id(id)[0], ())[:1])
            elif held and outcome in _SURELY_NOT and state != "in-doubt":
                self.unlearned[id].pop(token, None)
            if held or outcome == "accepted":
                self.leases.pop(id, None)

    def lose(self, suppressed: Mapping[str, str]) -> None:
        """The ledger is gone, and so is what it alone knew: who holds what, that sending is stopped, what waits on RQ's
        lists.

        Args:
            suppressed: the reasons that stand elsewhere, by contact.
        """
        self.suppressed = defaultdict(set, {contact: {reason} for contact, reason in suppressed.items()})
        self.unknown = self.fenced = True
        self.by_hand = False
        self.leases.clear()
        self.begun.clear()
        self.raised.clear()
        self.jobs.clear()
        self.delivered.clear()
        self.door.lose()

    def restore(self, now: Snapshot) -> None:
        """The ledger is back; the provider's list has told what became of each request."""
        self.unknown, self.restored = False, True
        self.door.restore()
        for id in now.states:
            if now.states[id] != "in-doubt":
                self.unlearned.pop(id, None)

    def remembered(self) -> Watch:
        """All this as it is now, for when the ledger goes back to what it is now."""
        return deepcopy(self)

    def go_back(self, before: Watch, accepted: Iterable[str]) -> None:
        """The ledger is again what it was; what left since then has left.

        Args:
            before: what was remembered then.
            accepted: the email ids that the provider has taken since.
        """
        posted = {
            id for id, requests in self.unlearned.items() if requests.keys() - before.unlearned.get(id, {}).keys()
        }
        self.forgotten |= posted | set(accepted)
        kept = {
            name: getattr(self, name)
            for name in ("anew", "misled", "lost", "pushed", "forgotten", "excused", "doubted")
        }
        links, steady = self.door.links, self.door.steady
        vars(self).update(vars(deepcopy(before)) | kept)
        self.door.links, self.door.steady = links, steady
        self.door.mails.clear()
        self.lost |= before.lost  # the jobs that workers held when the copy was made
