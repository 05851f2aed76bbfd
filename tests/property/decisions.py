"""What people decide in the property test: the operator steers, visitors book calls, move them, cancel them and miss them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from redis import Redis

from shared.core.errors import ActionError
from shared.domain.forms import MeetingEvent
from shared.intake import enrolling, meetings
from shared.ledger import ids
from tests.property import watch
from tests.property.machine import BOOKING, HOUR, Rig
from tests.property.watch import BAD_ENDS, HOLDING

WHICH = st.integers(0, 99)
PEOPLE = ("ada@example.org", "bo@example.org", "cy@example.org", "di@example.org")
UIDS = ("one", "two", "three")
Some = TypeVar("Some")


def pick(some: Sequence[Some], which: int) -> Some:
    """One of several, by any number."""
    return some[which % len(some)]


class PersonsDecide(RuleBasedStateMachine):
    """The rules in which a person decides."""

    rig: Rig
    redis: Redis

    def __init__(self) -> None:
        super().__init__()
        self.events: list[MeetingEvent] = []  # each may be delivered again
        self.begun: set[str] = set()  # the keys of those that began a run

    def emails(self) -> list[str]:
        """Every step there ever was."""
        return list(self.rig.watch.first_due) if hasattr(self, "rig") else []

    def note_dues(self) -> None:
        """Tell the watch of steps that have come into being."""
        for name, run in watch.runs(self.redis).items():
            for number, step in watch.steps(run).items():
                self.rig.watch.first_due.setdefault(ids.email_id(name, number), int(step["due"]))

    def _runs(self, *states: str) -> list[str]:
        return [name for name, run in watch.runs(self.redis).items() if run["state"] in states]

    @precondition(lambda self: self.emails())
    @rule(which=WHICH)
    def the_operator_pauses(self, which: int) -> None:
        for run in self._runs("active")[which % 4 :][:1]:
            assert self.rig.actions.pause(run) == "paused"
            self.rig.watch.held.add(run)

    @precondition(lambda self: bool(self.emails() and self.rig.watch.held))
    @rule(which=WHICH, catch_up=st.booleans())
    def the_operator_resumes(self, which: int, catch_up: bool) -> None:
        if paused := self._runs("paused"):
            self._resume(pick(paused, which), catch_up)

    @precondition(lambda self: self.emails())
    @rule(which=st.integers(0, 999))
    def the_operator_cancels(self, which: int) -> None:
        for run in self._runs(*HOLDING)[which % 8 :][:1]:
            assert self.rig.actions.cancel(run) == "cancelled"
            self.rig.watch.ended.add(run)

    @precondition(lambda self: self.emails())
    @rule(which=WHICH)
    def the_operator_sends_now(self, which: int) -> None:
        id = pick(self.emails(), which)
        with suppress(ActionError):
            self.rig.actions.send_now(*ids.parse_email_id(id))
            self.rig.watch.forced.add(id)

    @precondition(lambda self: bool(self.emails() and set(BAD_ENDS) & set(self.rig.states().values())))
    @rule(which=WHICH, anew=st.booleans())
    def the_operator_retries(self, which: int, anew: bool) -> None:
        before = {id: state for id, state in self.rig.states().items() if state in BAD_ENDS}
        with suppress(ActionError):
            self.rig.actions.retry(*ids.parse_email_id(pick(list(before), which)), as_new=anew)
        after = self.rig.states()
        for id in [id for id, state in before.items() if after[id] != state]:
            self.rig.watch.again(id)
            self.rig.raised.discard(id)
            if (before[id], after[id]) == ("in-doubt", "scheduled"):
                assert anew, f"{id} was perhaps accepted, and is sent anew though nobody said so"
                self.rig.watch.sent_anew(id)

    @precondition(lambda self: hasattr(self, "rig"))
    @rule(
        who=st.sampled_from(PEOPLE),
        what=st.sampled_from(["booked", "booked", "booked", "moved", "cancelled", "no-show", "no-show-undone"]),
        which=st.integers(0, 2),
        hours=st.sampled_from([0.5, 20, 30, 100]),
    )
    def a_calendar_reports(self, who: str, what: str, which: int, hours: float) -> None:
        now, uid = self.rig.clock.now, UIDS[which]
        event = MeetingEvent("booked", f"{what}:{uid}:{now}", uid, now, contact={"email": who, "business_name": "Engines"})
        if what in ("booked", "moved"):
            event = replace(event, starts=now + round(hours * HOUR), replaces=UIDS[which - 1] if what == "moved" else None)
        else:
            event = replace(event, what=what)  # type: ignore[arg-type]  # one of the others
        self.events.append(event)
        self._report(event)

    @precondition(lambda self: self.events)
    @rule(which=WHICH)
    def a_calendar_repeats_itself(self, which: int) -> None:
        self._report(pick(self.events, which))

    def resume_all(self) -> None:
        """No run is paused any more."""
        for number, run in enumerate(self._runs("paused")):
            self._resume(run, bool(number % 2))

    def _resume(self, run: str, catch_up: bool) -> None:
        self.rig.watch.held.discard(run)
        assert self.rig.actions.resume(run, catch_up=catch_up) in ("active", "completed")

    def _report(self, event: MeetingEvent) -> None:
        """A booking ends the runs that list it, any event else only runs of its meeting; what it ends stays so, and it begins one run."""
        before = {name: run for name, run in watch.runs(self.redis).items() if run["state"] in HOLDING}
        intake = enrolling.Intake(self.rig.ledger, self.rig.sender.catalog, self.rig.settings, self.rig.clock.now, "request-1")
        what = meetings.report(event, trigger=BOOKING, intake=intake)
        assert what != "enrolled" or event.key not in self.begun, f"{event.key} begins a second run"
        self.begun |= {event.key} if what == "enrolled" else set()
        own = self._own_keys(event)
        exits = enrolling.exits("booked", event.at, intake)
        after = watch.runs(self.redis)
        for name, run in before.items():
            listed = run["slug"] in exits["slugs"] and run["contact"] == ids.digest(event.contact["email"])
            if event.what == "booked" and what != "duplicate" and listed and int(run["created"]) <= exits["before"]:
                assert after[name]["state"] == "exited", f"{name} goes on after a booking"
            if after[name]["state"] not in HOLDING:
                assert name.rpartition("-")[0] in own or (event.what == "booked" and listed), (
                    f"{name} ends with {event.key}, another's meeting"
                )
                self.rig.watch.ended.add(name)
        self.note_dues()

    def _own_keys(self, event: MeetingEvent) -> set[str]:
        """What the runs may be called that its meeting began, or the one that it replaces."""
        known = [one for one in self.events if one.uid in (event.uid, event.replaces)]
        reminders = {ids.enrollment_prefix(BOOKING, f"{one.uid}:{one.starts}") for one in known}
        return reminders | {ids.enrollment_prefix(meetings.NO_SHOW, one.uid) for one in known}
