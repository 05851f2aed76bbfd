"""What calendars report, for tests: bookings, seats of bookings, what becomes of them, and the runs that follow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

from shared.domain.enrollments import Enrollment
from shared.domain.forms import MeetingEvent
from shared.domain.timing import DAY
from shared.intake import meetings
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.conftest import Clock
from tests.support.world import World

PERSON = {"email": "ada@example.org", "name": "Ada Lovelace", "first_name": "Ada", "timezone": "America/Vancouver"}
SAID = {
    "meeting_title": "Diagnostic call",
    "meeting_place": "https://meet.example.org/abc",
    "reschedule_url": "https://cal.com/reschedule/one",
}


def morning(ledger: Ledger, clock: Clock) -> World:
    """Mornings of a Thursday in December, before anything was booked."""
    clock.now = round(datetime(2026, 12, 10, 16, tzinfo=UTC).timestamp() * 1000)
    return World(ledger, clock)


def booked(world: World, uid: str = "one", *, days: float = 5, seconds: float = 0, **changes: object) -> MeetingEvent:
    """A booking that happened `seconds` from now, for `days` from now."""
    at = world.clock.now + round(seconds * 1000)
    event = MeetingEvent(
        "booked", f"calcom:booked:{uid}:{at}", uid, at, world.clock.now + round(days * DAY), contact=PERSON, values=SAID
    )
    return replace(event, **changes)  # type: ignore[arg-type]  # fields by name


def told(world: World, what: str, uid: str = "one", seconds: float = 0, email: str = PERSON["email"]) -> MeetingEvent:
    """Another event of the meeting."""
    at = world.clock.now + round(seconds * 1000)
    # one of four
    return MeetingEvent(what, f"calcom:{what}:{uid}:{at}", uid, at, contact={"email": email})  # type: ignore[arg-type]


def report(world: World, event: MeetingEvent) -> str:
    """Send it to the webhook."""
    return meetings.report(event, trigger="calcom-booking", intake=world.intake).what


def reminders(world: World, event: MeetingEvent) -> Enrollment | None:
    """The run of reminders of a booking."""
    return world.ledger.enrollment(f"{ids.enrollment_prefix('booking-reminder', f'{event.uid}:{event.starts}')}-1")


def recovery(world: World, uid: str = "one", run: int = 1) -> Enrollment | None:
    """The run of a missed meeting."""
    return world.ledger.enrollment(f"{ids.enrollment_prefix('noshow-recovery', uid)}-{run}")


def known(run: Enrollment | None) -> Enrollment:
    """A run that must be there."""
    assert run is not None
    return run


def subjects(world: World) -> list[str]:
    """What the provider accepted, in order."""
    return [request["subject"] for request in world.provider.accepted]


def due_steps(run: Enrollment | None) -> list[str]:
    """The states of a run's steps, or nothing."""
    return [step.state for step in run.steps] if run else []


BOB, CY = "bob@example.org", "cy@example.org"


def seat(
    world: World, email: str, uid: str = "slot", *, days: float = 5, seconds: float = 0, **changes: object
) -> MeetingEvent:
    """A seat that was booked; `listed=1` is that of an attendee who is not the first of the event."""
    return booked(
        world,
        uid,
        days=days,
        seconds=seconds,
        **{"key": f"{uid}:{email}:{seconds}", "seated": True, "contact": PERSON | {"email": email}} | changes,
    )


def given_back(
    world: World, email: str, uid: str = "slot", *, seconds: float = 60, seated: bool | None = True
) -> MeetingEvent:
    """A seat that was given back."""
    event = told(world, "cancelled", uid, seconds, email)
    return replace(event, key=f"{event.key}:{email}", seated=seated)


def marked(world: World, email: str, uid: str = "slot", *, what: str = "no-show", seconds: float = 90) -> MeetingEvent:
    """A mark of an attendee; Cal.com does not say whether the booking has seats."""
    event = told(world, what, uid, seconds, email)
    return replace(event, key=f"{event.key}:{email}", seated=None)


def runs_of(world: World, email: str, slug: str) -> list[Enrollment]:
    """A person's runs through a campaign, the oldest first."""
    names = cast(set[str], world.redis.smembers(f"eg:enrollments:{ids.digest(email)}"))
    runs = [known(world.ledger.enrollment(name)) for name in names if name.startswith(slug)]
    return sorted(runs, key=lambda run: (run.anchor, run.id))


def seat_runs(world: World, email: str) -> list[str]:
    """The states of a person's reminders, the oldest first."""
    return [run.state for run in runs_of(world, email, "booking-reminder")]


def recoveries(world: World, email: str) -> list[str]:
    """The states of the runs that ask a person to book again."""
    return [run.state for run in runs_of(world, email, "noshow-recovery")]
