"""The ledger and the provider of the property test: each of their calls is watched, can be waited before, and can
fail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from redis import Redis

from shared.core.errors import SendError, SendFault
from shared.integrations.provider import Accepted
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.script_runner import as_json
from tests.conftest import Clock
from tests.property.door_watch import own
from tests.property.refusals import Refusals
from tests.property.snapshots import steps
from tests.property.watch import Watch, email_id
from tests.property.worker import Killed, rest
from tests.support.provider_double import DAY, MemoryProvider

HOUR = 3_600_000
# The provider knows a key for 24 hours, the ledger repeats for 23: a request's way may use up the rest.
SLACK = HOUR


class WatchedLedger(Ledger):
    """The ledger, before whose decisions workers rest, which Redis may refuse, and each of which is watched."""

    def __init__(self, redis: Redis, clock: Clock, real: Clock, watch: Watch) -> None:
        super().__init__(redis, clock=clock, durable=True)
        self.real, self.watch = real, watch
        self.refusals = Refusals(redis)

    def _decide(self, script: str, order: object, *texts: str) -> Any:
        if script == "fence":  # how it is kept where Redis refuses that has tests of its own
            return super()._decide(script, order, *texts)
        rest(script)
        times = self.refusals.times()
        with self.refusals.met():
            for _ in range(times):
                asked = json.loads(as_json(order))
                who = asked["contact"] if script == "enroll" and "visit" in asked else None
                before = own(self.redis, who) if who else None
                answer = super()._decide(script, order, *texts)
                if who:
                    self.watch.door.visited(who, answer[0], before, own(self.redis, who))
                if isinstance(asked, dict):
                    self._tell(script, asked, answer, *texts)
        return answer

    def _tell(self, script: str, asked: Mapping[str, Any], answer: Any, body: str = "") -> None:
        if asked.get("date") and self.real.now - asked["date"] > HOUR:
            self.watch.misled = True
        if script == "claim" and answer[0] == "claimed":
            self.watch.claimed(self, answer[3], asked["token"])
            for enrollment, number, *_ in [] if answer[4] else answer[3][1:]:
                self._check_company(enrollment, number, asked["late"])
        elif script == "claim" and answer[0] == "done":
            self.watch.ended_at_the_claim(ids.email_id(asked["enrollment"], asked["step"]))
        elif script == "post" and answer and not answer[2]:
            self.watch.let_go(asked["members"], asked["token"], asked["request"], body, self.now() + asked["spare"])
        elif script == "post":
            self.watch.given_back([id for id in asked["members"] if not self._leased(id)], asked["token"])
        elif script == "settle":
            self.watch.settled(asked, self.now(), answer)
        else:
            self.watch.decided(script, asked, answer, self.now())
        if script == "receive":
            self.watch.door.stopped = bool(self.redis.exists("eg:firsts:stopped"))

    def _check_company(self, enrollment: str, number: int, late: Mapping[str, int]) -> None:
        """What goes along in a batch need not go alone, and no late policy is still to be applied to it."""
        run = self._hash(ids.enrollment_key(enrollment))
        step, id = steps(run)[number], ids.email_id(enrollment, number)
        alone = step.get("solo") == "1" or step.get("attempts", "0") != "0"
        assert not alone, f"{id} goes along in a batch, and must go alone"
        in_time = self.now() - int(step["due"]) <= late[run["slug"]]
        assert in_time or "forced" in step or "catch_up" in run, f"{id} goes along in a batch, and is late"

    def _leased(self, id: str) -> bool:
        enrollment, step = ids.parse_email_id(id)
        return bool(self.redis.hexists(ids.enrollment_key(enrollment), f"{step}.lease"))


class FailingProvider(MemoryProvider):
    """A provider whose next answer is chosen.

    Attributes:
        outcome: `accepted`; `lost` and `misanswered`: taken, but the answer is useless; or the kind of an error.
        retry_after: seconds, 0: not said.
        mute: whether it does not say what time it is.
    """

    def __init__(self, real: Clock, watch: Watch) -> None:
        super().__init__(real)
        self.real, self.watch = real, watch
        self.outcome, self.retry_after, self.mute = "accepted", 0, False
        self.taken: list[str] = []
        self._noted = 0
        self._last: dict[str, tuple[int, str]] = {}  # when each email was taken last, and under which key

    def _take(self, emails: list[dict[str, Any]], key: str, *, permissive: bool) -> Accepted:
        left = self.real.now
        rest("provider")
        if self.real.now - left > SLACK:
            raise Killed  # its own timeouts have ended such a worker long ago
        if not key.startswith("confirm-"):
            self.watch.arrived(key, json.dumps(emails if key.startswith("batch-") else emails[0]), emails)
        outcome, self.outcome = self.outcome, "accepted"
        if outcome == "lost":
            self.faults.append("lost")
        elif outcome not in ("accepted", "misanswered"):
            date = None if outcome in ("ambiguous", "wait") or self.mute else self.real.now
            self.faults.append(
                SendError(cast(SendFault, outcome), f"the provider said {outcome}", self.retry_after or None, date)
            )
        try:
            accepted = super()._take(emails, key, permissive=permissive)
        finally:
            self._note(key)
            rest("answer")
        if outcome == "misanswered":
            raise SendError("conflict", "the provider answered for another number of emails")
        return replace(accepted, date=None) if self.mute else accepted

    def refused_in(self, key: str) -> bool:
        """Whether it took a batch with this key without some of its emails."""
        _, _, answer = self._known.get(key, (0, None, {}))
        return bool(answer.get("errors"))

    def time(self) -> int | None:
        """What time it is by its clock."""
        rest("clock")
        return None if self.mute else self.real.now

    def _note(self, key: str) -> None:
        """Remember what was taken.

        A step that a ledger has forgotten is taken again, through no fault, after the provider's day, after a batch,
        whose key is no longer known, or where a person had it sent under another key."""
        new, self._noted = self.accepted[self._noted :], len(self.accepted)
        for email in new:
            if key.startswith("confirm-"):
                self.watch.door.mailed(email, key)
                continue
            id = email_id(email)
            at, before = self._last.get(id, (0, ""))
            other = before != key and not key.startswith("batch-")
            if id in self.watch.forgotten and (self.real.now - at >= DAY or before.startswith("batch-") or other):
                self.watch.excused[id] += 1
            self._last[id] = self.real.now, key
            self.taken.append(id)
