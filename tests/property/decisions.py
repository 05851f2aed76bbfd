"""What people decide in the property test: the operator steers, visitors book calls, move them, cancel them and miss
them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from redis import Redis
from redis.exceptions import RedisError

from shared.core.errors import ActionError
from shared.domain.forms import MeetingEvent, NoShow, SignUp
from shared.intake import enrolling, meetings
from shared.intake.context import Intake, exits
from shared.ledger import ids
from tests.property.campaigns import BOOKING, CATALOG
from tests.property.machine import Rig
from tests.property.refusals import may_be_refused
from tests.property.snapshots import BAD_ENDS, HOLDING, snapshot
from tests.property.watched import HOUR

WHICH = st.integers(0, 99)
PEOPLE = ("ada@example.org", "bo@example.org", "cy@example.org", "di@example.org")
UIDS = ("one", "two", "three")
SLOTS = ("slot", "hall", "room")  # bookings with seats: several people share one uid
SERIES = "weekly"
FORMS = list(CATALOG.campaigns)[:4]
REASONS = st.sampled_from(["unsubscribed", "unsubscribed", "unsubscribed", "bounced", "complained", "manual"])
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

    def emails(self) -> list[str]:
        """Every step there ever was."""
        return list(self.rig.watch.first_due) if hasattr(self, "rig") else []

    def _runs(self, *states: str) -> list[str]:
        return snapshot(self.redis).in_state(*states)

    @rule(
        email=st.sampled_from(PEOPLE),
        trigger=st.sampled_from(FORMS),
        first_name=st.sampled_from(["Ada", "Countess"]),
        business_name=st.sampled_from(["Engines", "Engines", None]),
        assessment_score=st.sampled_from([40, 40, None]),
        consent=st.sampled_from([None, True]),
        email_1_status=st.sampled_from([None, None, "sent", "failed"]),
        hours_ago=st.sampled_from([None, None, None, 0.5, 3, 30, 29 * 24]),
        again=st.booleans(),
    )
    @may_be_refused
    def somebody_signs_up(self, trigger: str, hours_ago: float | None, again: bool, **form: object) -> None:
        sent_at = datetime.fromtimestamp(self.rig.clock.now / 1000 - hours_ago * 3600, UTC) if hours_ago else None
        with suppress(RedisError) if again else nullcontext():  # the page says that it did not work
            self.sign_up(form | {"email_1_sent_at": sent_at}, trigger)
            return
        self.sign_up(form | {"email_1_sent_at": sent_at}, trigger)

    @precondition(lambda self: self.emails())
    @rule(which=WHICH, again=st.booleans())
    @may_be_refused
    def the_operator_pauses(self, which: int, again: bool) -> None:
        for run in self._runs("active")[which % 4 :][:1]:
            with suppress(RedisError) if again else nullcontext():
                assert self.rig.actions.pause(run) == "paused"
            assert not again or self.rig.actions.pause(run) == "paused"

    @precondition(lambda self: bool(self.emails() and self.rig.watch.held))
    @rule(which=WHICH, catch_up=st.booleans())
    @may_be_refused
    def the_operator_resumes(self, which: int, catch_up: bool) -> None:
        if paused := self._runs("paused"):
            self._resume(pick(paused, which), catch_up)

    @precondition(lambda self: self.emails())
    @rule(which=st.integers(0, 999))
    @may_be_refused
    def the_operator_cancels(self, which: int) -> None:
        for run in self._runs(*HOLDING, "queued")[which % 8 :][:1]:
            assert self.rig.actions.cancel(run) == "cancelled"

    @precondition(lambda self: self.emails())
    @rule(which=WHICH)
    @may_be_refused
    def the_operator_sends_now(self, which: int) -> None:
        with suppress(ActionError):
            self.rig.actions.send_now(*ids.parse_email_id(pick(self.emails(), which)))

    @precondition(lambda self: bool(self.emails() and set(BAD_ENDS) & set(self.rig.states().values())))
    @rule(which=WHICH, anew=st.booleans())
    def the_operator_retries(self, which: int, anew: bool) -> None:
        before = {id: state for id, state in self.rig.states().items() if state in BAD_ENDS}
        with suppress(ActionError, RedisError):
            self.rig.actions.retry(*ids.parse_email_id(pick(list(before), which)), as_new=anew)
        after = self.rig.states()
        for id in [id for id, state in before.items() if after[id] != state]:
            self.rig.watch.again(id)
            if (before[id], after[id]) == ("in-doubt", "scheduled"):
                assert anew, f"{id} was perhaps accepted, and is sent again though nobody said so"
                self.rig.watch.sent_anew(id)

    @precondition(lambda self: self.emails())
    @rule(
        which=WHICH,
        what=st.sampled_from(
            [
                "postpone",
                "postpone",
                "skip",
                "skip",
                "skip",
                "shorten",
                "leave",
                "leave",
                "stop or start",
                "stop or start",
            ]
        ),
        reason=REASONS,
    )
    @may_be_refused
    def somebody_steps_in(self, which: int, what: str, reason: str) -> None:
        enrollment, step = ids.parse_email_id(pick(self.emails(), which))
        if what == "postpone":  # as a worker does when the send function does not answer
            self.rig.ledger.postpone(enrollment, step, 5)
        elif what == "skip":
            with suppress(ActionError):
                self.rig.actions.skip(enrollment, step)
        elif what == "shorten":
            self.rig.shorten()
        elif what == "leave":
            self.rig.ledger.suppress(ids.digest(pick(PEOPLE, which)), reason)
        elif self.rig.watch.by_hand:
            self.rig.actions.start_sending()
        else:
            self.rig.actions.stop_sending()

    @rule(who=st.sampled_from(PEOPLE), event=st.sampled_from(["first", "second"]))
    @may_be_refused
    def the_operator_reports_a_no_show(self, who: str, event: str) -> None:
        """The same missed call, reported once more, begins nothing."""
        subject = f"{who}:{event}"
        form = NoShow.model_validate({"email": who, "business_name": "Engines", "event_id": event})
        enrolling.report(form, trigger=meetings.NO_SHOW, intake=self.intake)
        runs = [
            name
            for name in snapshot(self.redis).runs
            if name.startswith(f"{ids.enrollment_prefix(meetings.NO_SHOW, subject)}-")
        ]
        assert len(runs) <= 1, f"one missed call has begun {runs}"

    @rule(
        who=st.sampled_from(PEOPLE),
        what=st.sampled_from(["booked", "booked", "booked", "moved", "cancelled", "no-show", "no-show-undone"]),
        which=st.integers(0, 2),
        hours=st.sampled_from([0.5, 20, 30, 100]),
    )
    @may_be_refused
    def a_calendar_reports(self, who: str, what: str, which: int, hours: float) -> None:
        now, uid = self.rig.clock.now, UIDS[which]
        event = MeetingEvent(
            "booked", f"{what}:{uid}:{len(self.events)}", uid, now, contact={"email": who, "business_name": "Engines"}
        )
        if what in ("booked", "moved"):
            event = replace(
                event, starts=now + round(hours * HOUR), replaces=UIDS[which - 1] if what == "moved" else None
            )
        else:
            event = replace(event, what=what)  # type: ignore[arg-type]  # one of the others
        self.events.append(event)
        self._report(event)

    @rule(
        who=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True),
        what=st.sampled_from(["booked", "booked", "booked", "moved", "cancelled", "no-show", "no-show-undone"]),
        which=st.integers(0, 2),
        hours=st.sampled_from([0.5, 20, 30, 100]),
    )
    @may_be_refused
    def a_calendar_reports_seats(self, who: list[str], what: str, which: int, hours: float) -> None:
        """Or marks, of several attendees at once."""
        now, uid = self.rig.clock.now, SLOTS[which]
        new = what in ("booked", "moved")
        events = [
            MeetingEvent(
                "booked" if new else what,  # type: ignore[arg-type]  # one of the others
                f"{what}:{uid}:{len(self.events)}:{email}",
                uid,
                now,
                starts=now + round(hours * HOUR) if new else None,
                replaces=SLOTS[which - 1] if what == "moved" else None,
                seated=None if what.startswith("no-show") else True,
                listed=listed,
                contact={"email": email, "business_name": "Engines"},
            )
            for listed, email in enumerate(who)
        ]
        self.events += events  # some may be delivered only with the next try
        for event in events:
            self._report(event)

    @rule(who=st.sampled_from(PEOPLE), weeks=st.integers(1, 3), hours=st.sampled_from([20, 30, 100]))
    @may_be_refused
    def a_series_is_booked(self, who: str, weeks: int, hours: float) -> None:
        now, person = self.rig.clock.now, {"email": who, "business_name": "Engines"}
        for week in range(weeks):
            uid, starts = f"{who}:{len(self.events)}", now + round((hours + week * 7 * 24) * HOUR)
            self.events.append(MeetingEvent("booked", uid, uid, now, starts, series=SERIES, contact=person))
            self._report(self.events[-1])

    @precondition(lambda self: any(event.series for event in self.events))
    @rule(which=WHICH, dates=st.sets(st.integers(0, 5), max_size=3))
    @may_be_refused
    def a_series_is_cancelled(self, which: int, dates: set[int]) -> None:
        """Some of its dates, or all that remains."""
        known = [event for event in self.events if event.series and event.what == "booked"]
        one = pick(known, which)
        own = [event.starts for event in known if event.contact["email"] == one.contact["email"]]
        named = tuple(start for number, start in enumerate(own) if number in dates and start is not None)
        event = replace(one, what="cancelled", key=f"all:{len(self.events)}", at=self.rig.clock.now, dates=named)
        self.events.append(event)
        self._report(event)

    @precondition(lambda self: self.events)
    @rule(which=WHICH)
    @may_be_refused
    def a_calendar_repeats_itself(self, which: int) -> None:
        self._report(pick(self.events, which))

    @property
    def intake(self) -> Intake:
        """Where things come in now."""
        return Intake(self.rig.ledger, self.rig.sender.catalog, self.rig.settings, self.rig.clock.now, "request-1")

    def sign_up(self, form: Mapping[str, object], trigger: str) -> None:
        """A form is posted."""
        enrolling.sign_up(SignUp.model_validate(form), trigger=trigger, intake=self.intake)

    def resume_all(self) -> None:
        """No run is paused any longer."""
        for number, run in enumerate(self._runs("paused")):
            self._resume(run, bool(number % 2))

    def _resume(self, run: str, catch_up: bool) -> None:
        assert self.rig.actions.resume(run, catch_up=catch_up) in ("active", "completed")

    def _report(self, event: MeetingEvent) -> None:
        """A booking ends the runs that list it, any event else only runs of its meeting; what it ends stays so, and it
        begins one run. What is cancelled or moved away from reminds no one any more."""
        before = {name: run for name, run in snapshot(self.redis).runs.items() if run["state"] in HOLDING}
        what = meetings.report(event, trigger=BOOKING, intake=self.intake).what
        assert what != "enrolled" or event.key not in self.rig.watch.delivered, f"{event.key} begins a second run"
        self.rig.watch.delivered |= {event.key} if what == "enrolled" else set()
        own = self._own_keys(event)
        ended = exits("booked", event.at, self.intake)
        after = snapshot(self.redis).runs
        for name, run in before.items():
            listed = run["slug"] in ended.slugs and run["contact"] == ids.digest(event.contact["email"])
            has_booked = event.what == "booked" and what != "duplicate" and not (event.seated and what == "exists")
            if has_booked and listed and int(run["created"]) <= ended.before:
                assert after[name]["state"] == "exited", f"{name} goes on after a booking"
            if after[name]["state"] not in HOLDING:
                assert name.rpartition("-")[0] in own or (event.what == "booked" and listed), (
                    f"{name} ends with {event.key}, another's meeting"
                )
        if what != "duplicate":
            over = self._over(event)
            left = [name for name, run in after.items() if run["state"] in HOLDING and name.rpartition("-")[0] in over]
            assert not left, f"{left} goes on after {event.key}"

    def _own_keys(self, event: MeetingEvent) -> set[str]:
        """What the runs may be called that its meeting began, or the one that it replaces, or those of the series."""
        known = [one for one in self.events if self._is_of(one, event, event.uid, event.replaces)]
        seats = (event.uid, *(f"{uid}:{event.contact['email']}" for uid in (event.uid, event.replaces)))
        return {_reminders(one) for one in [*known, *self._others(event)]} | {
            ids.enrollment_prefix(meetings.NO_SHOW, subject) for subject in seats
        }

    def _over(self, event: MeetingEvent) -> set[str]:
        """What the reminders are called that must have ended with it: nothing newer has booked their meeting again. A
        restored ledger knows no meetings (and reminders are in fact not restored)."""
        uid = event.uid if event.what == "cancelled" else event.replaces
        known = [one for one in self.events if one.what == "booked" and self._is_of(one, event, uid)]
        if uid is None or (event.seated and (event.listed or any(one.at > event.at for one in known))):
            known = []
        began = self.rig.watch.delivered
        return {_reminders(one) for one in [*known, *self._others(event)] if one.key in began}

    def _others(self, event: MeetingEvent) -> list[MeetingEvent]:
        """The other meetings that it cancels."""
        if event.what != "cancelled" or not event.series:
            return []
        return [
            one
            for one in self.events
            if one.what == "booked"
            and one.contact["email"] == event.contact["email"]
            and one.at <= event.at
            and (one.starts in event.dates or (not event.dates and one.series and (one.starts or 0) >= event.at))
        ]

    def _is_of(self, one: MeetingEvent, event: MeetingEvent, *uids: str | None) -> bool:
        """Whether an event is about one of these bookings; of one with seats, about the same attendee."""
        return one.uid in uids and (one.uid not in SLOTS or one.contact["email"] == event.contact["email"])


def _reminders(event: MeetingEvent) -> str:
    """What the runs are called that remind of a meeting."""
    seat = f":{event.contact['email']}" if event.seated else ""
    return ids.enrollment_prefix(BOOKING, f"{event.uid}:{event.starts}{seat}")
