"""A ledger that is lost, and built again from what Notion knew, in the property test.

Meanwhile people come, leave and decide as ever."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from redis import Redis

from shared.domain.states import StepState
from shared.ledger import ids
from shared.ledger.fence_state import FenceState
from shared.ledger.restore_orders import Restore, RestoredEnrollment, RestoredStep
from shared.recovery.fence import UNKNOWN
from tests.property.campaigns import CATALOG
from tests.property.copies import LedgersGoBack
from tests.property.refusals import may_be_refused
from tests.property.snapshots import HOLDING, snapshot, steps

_SUPPRESSED = ("complained", "bounced", "unsubscribed", "manual")
_RANKS = ("proved", "unproved", "confirmed_at", "consent_proof")
_KEPT = ("email", "first_name", "business_name", "assessment_score", "consent_at", "last_sent", *_RANKS)
_KNOWN = ("sent", "by", "id", "why")


def subscription(reasons: Collection[str]) -> str | None:
    """The only reason that Notion has: the worst; a manual one is shown as unsubscribed."""
    worst = next((reason for reason in _SUPPRESSED if reason in reasons), None)
    return "unsubscribed" if worst == "manual" else worst


@dataclass(frozen=True)
class Rows:
    """What Notion knows, also of enrollments that a restored ledger need not have.

    Attributes:
        runs: the hash of every enrollment, by id.
        people: what was known about each person whose address was known, by digest.
    """

    runs: Mapping[str, Mapping[str, str]]
    people: Mapping[str, Mapping[str, str]]

    def read(self, redis: Redis) -> Rows:
        """Write down everything in the ledger."""
        runs = snapshot(redis).runs
        people: dict[str, Mapping[str, str]] = {}
        for key in redis.scan_iter(ids.contact_key("*"), 1000):
            found = cast(dict[str, str], redis.hgetall(key))
            if "email" in found:
                people[ids.digest(found["email"])] = found
        return Rows({**self.runs, **runs}, {**self.people, **people})

    def without(self, contact: str) -> Rows:
        """The same, with the rows of a contact in the trash."""
        runs = {name: run for name, run in self.runs.items() if run["contact"] != contact}
        return Rows(runs, {digest: person for digest, person in self.people.items() if digest != contact})

    def without_proofs(self) -> Rows:
        """The same, where the owner has no column for what is proved."""
        people = {
            contact: {name: value for name, value in person.items() if name not in _RANKS}
            for contact, person in self.people.items()
        }
        return Rows(self.runs, people)

    @property
    def suppressed(self) -> dict[str, str]:
        """Who gets no email, and the reason that stands there."""
        return {contact: reason for contact, person in self.people.items() if (reason := subscription(person))}

    def orders(self, accepted: Collection[str]) -> list[Restore]:
        """What restore.lua is asked, as `Restorer` asks: of each person and campaign the last enrollment, the open ones
        first.

        Args:
            accepted: the email ids that the provider lists as sent.
        """
        latest: dict[str, str] = {}
        for name in sorted(self.runs, key=lambda name: int(name.rpartition("-")[2])):
            latest[name.rpartition("-")[0]] = name
        runs = [self._run(key, name, accepted) for key, name in latest.items()]
        runs.sort(key=lambda run: (run.what == "finished", run.what == "queued", run.anchor))
        return [self._order(self.runs[run.id]["contact"], run) for run in runs] + [
            self._order(contact) for contact in self.people
        ]

    def _order(self, contact: str, run: RestoredEnrollment | None = None) -> Restore:
        person = self.people[contact]
        fields = {name: person[name] for name in _KEPT if name in person}
        return Restore(
            contact=contact, fields=fields, page="page-of-the-contact", reason=subscription(person) or None, run=run
        )

    def _run(self, key: str, name: str, accepted: Collection[str]) -> RestoredEnrollment:
        run = self.runs[name]
        campaign = CATALOG.campaigns[run["slug"]]
        found = RestoredEnrollment(
            id=name,
            key=key,
            number=int(name.rpartition("-")[2]),
            what="finished",
            slug=run["slug"],
            kind=campaign.kind,
            reentry=campaign.reentry,
            page="page-of-the-run",
            anchor=int(run["anchor"]),
        )
        if run["state"] == "queued":
            return replace(
                found,
                what="queued",
                group=campaign.group,
                created=int(run["created"]),
                exits=campaign.exit_on,
                queued_until=int(run["queued_until"]),
                steps=[_planned(step) for step in json.loads(run["plan"])],
            )
        if run["state"] not in HOLDING:
            return found
        return replace(
            found,
            what="paused" if run["state"] == "paused" else "active",
            group=campaign.group,
            created=int(run["created"]),
            exits=campaign.exit_on,
            paused_at=int(run.get("paused_at", 0)),
            steps=[_step(number, step, f"{name}-{number}" in accepted) for number, step in steps(run).items()],
        )


def _planned(step: Mapping[str, int]) -> RestoredStep:
    """A step of an enrollment that is queued."""
    found = RestoredStep(number=step["number"], offset=step["offset"], due=step["due"], state=StepState.SCHEDULED)
    if "sent" in step:
        found.state, found.sent, found.by = StepState.SENT, step["sent"], "website"
    return found


def _step(number: int, step: Mapping[str, str], accepted: bool) -> RestoredStep:
    """A step as the rows and the provider's list tell it."""
    known: dict[str, Any] = {name: step[name] for name in _KNOWN if name in step}
    state = "scheduled" if step["state"] == "sending" else step["state"]
    if accepted:
        state, known = "sent", {"by": "evergreen"} | known | {"sent": int(step.get("sent", step["due"]))}
    elif "sent" in known:
        known["sent"] = int(known["sent"])
    return RestoredStep(
        number=number, offset=int(step["offset"]), due=int(step["due"]), state=StepState(state), **known
    )


class LedgersGetLost(LedgersGoBack):
    """The rules of a loss."""

    rows = Rows({}, {})

    # Who was forgotten is known to no one after a loss: the ids of their enrollments begin again.
    @precondition(lambda self: self.rig.notion and not self.rig.watch.unknown and not self.rig.watch.door.forgotten)
    @rule(proofs=st.booleans())
    def the_ledger_is_lost(self, proofs: bool) -> None:
        """Redis is gone, and a new one is fenced off until what Notion knew is back in it, perhaps without
        what was proved."""
        self.kill(list(self.workers))
        self.kept = None
        self.rows = self.rows.read(self.redis)
        self.redis.flushdb()
        self.rig.ledger.refusals.coming.clear()
        self.rig.expiry.at = {}
        self.rig.watch.lose(self.rows.suppressed)
        if not proofs:
            self.rows = self.rows.without_proofs()
            self.rig.watch.door.written |= set(self.rows.people)
        FenceState(self.rig.ledger).keep(on="1", why=UNKNOWN)

    @precondition(lambda self: self.rig.watch.unknown)
    @rule()
    @may_be_refused
    def the_ledger_is_restored(self) -> None:
        self.restore()

    def restore(self) -> None:
        """Build the ledger again; one that Redis refuses in the middle begins once more."""
        if not self.rig.watch.unknown:
            return
        for order in self.rows.orders(set(self.rig.provider.taken)):
            self.rig.ledger.restore(order)
        self.rig.watch.restore(snapshot(self.redis))
        self.take_the_word()
