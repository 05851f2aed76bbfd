"""Doubts that Resend's list settles by itself: the real clients against the sandbox, on a clock that the test moves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from shared.core.errors import SendError
from shared.domain.enrollments import Contact
from shared.emails.subjects import Subjects
from shared.integrations.provider import Accepted, Listed
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.health import read_health
from shared.ledger.listing import Listing
from shared.operations.enrollment_actions import EnrollmentActions
from shared.recovery.doubts import YOUNG, Doubts
from shared.recovery.sent_list import Lister
from shared.recovery.verify_resend import ResendWitness
from tests.conftest import Clock
from tests.support.lost_ledger import LostLedger, Unlisted
from tests.support.sandbox_server import Sandbox, sandbox

MINUTE = 60_000


class Unanswered:
    """Resend, whose next answers make no sense: the emails end in doubt.

    Attributes:
        next: what becomes of the next requests: `taken` or `lost`; all others are answered.
        asked: how often its list was read.
    """

    def __init__(self, real: Any) -> None:
        self.real = real
        self.next: list[str] = []
        self.asked = 0

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Send one email."""
        return self._answer(lambda: self.real.send(email, key=key))

    def send_batch(self, emails: list[dict[str, Any]], *, key: str, permissive: bool) -> Accepted:
        """Send several."""
        return self._answer(lambda: self.real.send_batch(emails, key=key, permissive=permissive))

    def time(self) -> int | None:
        """The time that it reports."""
        said: int | None = self.real.time()
        return said

    def _answer(self, send: Any) -> Accepted:
        what = self.next.pop(0) if self.next else "answered"
        if what != "lost":
            accepted: Accepted = send()
            if what == "answered":
                return accepted
        raise SendError("conflict", "an answer that makes no sense")

    def listed(self, after: str | None = None) -> tuple[list[Listed], bool]:
        """A page of the list."""
        self.asked += 1
        found: tuple[list[Listed], bool] = self.real.listed(after)
        return found


class Alike(Subjects):
    """Every email of every campaign has one subject."""

    def of(self, slug: str, step: int, contact: Contact) -> set[str]:
        """All subjects there are."""
        numbers = [planned.number for planned in self.catalog.campaigns[slug].steps]
        return {subject for number in numbers for subject in super(Alike, self).of(slug, number, contact)}


class Doubtful(LostLedger):
    """Evergreen at work, some of whose emails end in doubt."""

    def __init__(self, ledger: Ledger, clock: Clock, box: Sandbox) -> None:
        super().__init__(ledger, clock, box)
        self.unanswered = Unanswered(self.provider)
        self.world.sender = dataclasses.replace(self.world.sender, provider=self.unanswered)
        self.doubts = self.looking()
        self.send("other@example.org", "Earlier")

    def looking(self, lister: Lister | None = None, subjects: Subjects | None = None) -> Doubts:
        """The object that compares."""
        return Doubts(
            self.ledger, lambda: ResendWitness(self.ledger, subjects or self.subjects, lister or self.unanswered)
        )

    def send(self, address: str, subject: str) -> None:
        """Another program sends an email with the same Resend key."""
        email = {"from": "me@example.org", "to": [address], "subject": subject, "text": "Hi"}
        self.provider.send(email, key=f"{address}-{subject}-{self.clock.now}")

    def subject(self, run: str, step: int) -> str:
        """One of the subjects that a step may have."""
        contact = self.ledger.contact(self.world.run(run).contact)
        assert contact is not None
        return min(self.subjects.of("christmas", step, contact))

    def doubt(self, step: int = 2, *, taken: bool = True) -> str:
        """Ada's run, one of whose emails has ended in doubt."""
        run = self.world.sign_up()
        self.world.live(self.world.run(run).step(step).due // 3_600_000 - self.clock.now // 3_600_000 - 1)
        self.clock.now = self.world.run(run).step(step).due
        self.unanswered.next = ["taken" if taken else "lost"]
        self.world.work()
        assert self.world.run(run).step(step).state == "in-doubt"
        return run


@pytest.fixture
def box(clock: Clock) -> Iterator[Sandbox]:
    with sandbox(clock=lambda: clock.now / 1000) as running:
        yield running


@pytest.fixture
def desk(ledger: Ledger, clock: Clock, box: Sandbox) -> Doubtful:
    return Doubtful(ledger, clock, box)


def test_an_email_in_resends_list_is_settled_automatically(desk: Doubtful) -> None:
    """With Resend's id and time; it no longer needs attention, and it goes out once."""
    run = desk.doubt()
    at = desk.clock.now
    desk.ledger.redis.zadd("rq:failed:send", {f"{run}-2-1": 1})
    desk.clock.advance(seconds=40)
    desk.doubts.poll()
    step = desk.world.run(run).step(2)
    assert (step.state, step.sent_by, step.why) == ("sent", "evergreen", None)
    assert step.provider_id and abs((step.sent_at or 0) - at) < MINUTE
    assert Listing(desk.ledger).doubts() == {} and desk.ledger.redis.zcard("rq:failed:send") == 0
    desk.world.live(300)
    assert set(desk.sent().values()) == {1}


def test_an_email_missing_from_the_list_stays_in_doubt(desk: Doubtful) -> None:
    """No list proves that an email was not sent: a person decides."""
    run = desk.doubt(taken=False)
    for _ in range(80):
        desk.clock.advance(hours=1)
        desk.doubts.poll()
    assert desk.world.run(run).step(2).state == "in-doubt"
    assert desk.unanswered.asked > 60


def test_the_list_is_not_read_while_nothing_is_in_doubt(desk: Doubtful) -> None:
    """Nor once the doubts are old, or skipped by a person."""
    desk.doubts.poll()
    assert desk.unanswered.asked == 0
    run = desk.doubt(taken=False)
    desk.clock.now += YOUNG
    desk.doubts.poll()
    assert desk.unanswered.asked == 0
    desk.clock.now -= YOUNG
    EnrollmentActions(desk.ledger, desk.world.sender.catalog, desk.settings).skip(run, 2)
    desk.doubts.poll()
    assert desk.unanswered.asked == 0


def test_it_looks_soon_after_a_doubt_and_then_each_hour(desk: Doubtful) -> None:
    """Sooner again for a new doubt, but not more often than every five minutes."""
    desk.doubt(taken=False)
    looks = []
    for minute in range(130):
        before = desk.unanswered.asked
        desk.doubts.poll()
        if desk.unanswered.asked > before:
            looks.append(minute)
        desk.clock.advance(seconds=60)
        if minute == 70:
            desk.unanswered.next = ["lost"]
            desk.person(1)
            desk.world.work()
    assert looks == [0, 5, 65, 71, 76]


@pytest.mark.parametrize("why", ["restricted", "unavailable"])
def test_an_unreadable_list_settles_nothing_and_stops_nothing(desk: Doubtful, why: str) -> None:
    """A key that may only send, or an unavailable Resend: the gate stays open, and a person must settle the doubt."""

    class Away:
        def listed(self, after: str | None = None) -> Any:
            """No answer, and no time to wait for one."""
            raise SendError("refused", "Resend answered 404")

    run = desk.doubt()
    desk.looking(Unlisted() if why == "restricted" else Away()).poll()
    assert desk.world.run(run).step(2).state == "in-doubt"
    assert read_health(desk.ledger).gate is None
    desk.clock.advance(hours=1)
    desk.doubts.poll()
    assert desk.world.run(run).step(2).state == "sent"


def test_several_possible_matches_settle_nothing(desk: Doubtful) -> None:
    """Two with its subject since it was posted: it is unknown which of them it is."""
    run = desk.doubt()
    desk.clock.advance(seconds=60)
    desk.send("ada@example.org", desk.subject(run, 2))
    desk.doubts.poll()
    assert desk.world.run(run).step(2).state == "in-doubt"


def test_a_match_for_two_steps_in_doubt_settles_nothing(desk: Doubtful) -> None:
    """Two emails of one subject are in doubt, and one of them is listed."""
    run = desk.doubt(taken=False)
    desk.unanswered.next = ["taken"]
    EnrollmentActions(desk.ledger, desk.world.sender.catalog, desk.settings).send_now(run, 3)
    desk.world.work()
    desk.looking(subjects=Alike(desk.subjects.catalog, desk.subjects.templates, desk.settings)).poll()
    assert desk.world.states(run)[1:3] == ["in-doubt", "in-doubt"]
    desk.looking().poll()
    assert desk.world.states(run)[1:3] == ["in-doubt", "sent"]


def test_a_match_that_belongs_to_another_step_settles_nothing(desk: Doubtful) -> None:
    """It is listed, and its id shows that it is another step's."""
    run = desk.doubt(taken=False)
    EnrollmentActions(desk.ledger, desk.world.sender.catalog, desk.settings).send_now(run, 3)
    desk.world.work()
    assert desk.world.states(run)[2] == "sent"
    desk.looking(subjects=Alike(desk.subjects.catalog, desk.subjects.templates, desk.settings)).poll()
    assert desk.world.states(run)[1] == "in-doubt"


def test_an_earlier_email_with_the_same_subject_settles_nothing(desk: Doubtful) -> None:
    """It was accepted before the step was posted at all."""
    run = desk.world.sign_up()
    desk.world.live(23)
    desk.send("ada@example.org", desk.subject(run, 2))
    desk.clock.advance(hours=1)
    desk.unanswered.next = ["lost"]
    desk.world.work()
    desk.doubts.poll()
    assert desk.world.run(run).step(2).state == "in-doubt"


def test_a_whole_batch_is_settled(desk: Doubtful) -> None:
    """Each with its own id."""
    desk.world.sender = dataclasses.replace(
        desk.world.sender, settings=desk.world.settings.model_copy(update={"resend_batch_above": 1})
    )
    runs = [desk.person(number) for number in range(3)]
    desk.unanswered.next = ["taken"]
    desk.world.work()
    assert {desk.world.states(run)[0] for run in runs} == {"in-doubt"}
    desk.clock.advance(seconds=60)
    desk.doubts.poll()
    steps = [desk.world.run(run).step(1) for run in runs]
    assert {step.state for step in steps} == {"sent"}
    assert len({step.provider_id for step in steps} - {None}) == 3


def test_a_doubt_from_a_restore_is_settled_once_the_list_is_readable(desk: Doubtful) -> None:
    """It could not be when the ledger was restored."""
    run = desk.world.sign_up()
    desk.world.live(1)
    desk.record()
    desk.world.live(24)
    desk.lose()
    desk.clock.advance(hours=1)
    desk.restore(Unlisted())
    assert desk.world.run(run).step(2).state == "in-doubt"
    desk.doubts.poll()
    assert desk.world.run(run).step(2).state == "sent"
    desk.world.live(300)
    assert set(desk.sent().values()) == {1}


def test_a_forgotten_contact_leaves_no_doubt(desk: Doubtful) -> None:
    """Nothing of theirs is compared."""
    run = desk.doubt()
    contact = desk.world.run(run).contact
    desk.ledger.forget(contact, enrollments=[run], meetings=[])
    assert Listing(desk.ledger).doubts() == {}
    desk.ledger.redis.zadd("eg:doubts", {ids.email_id(run, 2): desk.clock.now})
    desk.doubts.poll()
    assert desk.unanswered.asked == 0


class TwoAlike(Subjects):
    """The second step's email has the third's subject, too."""

    def of(self, slug: str, step: int, contact: Contact) -> set[str]:
        """Its own, and for the second the third's."""
        return super().of(slug, step, contact) | (super().of(slug, 3, contact) if step == 2 else set())


def test_an_email_claimed_while_the_list_is_read_settles_nothing(ledger: Ledger, clock: Clock, box: Sandbox) -> None:
    """The ledger is read before the list: what is on its way then may be what is listed."""
    desk = Doubtful(ledger, clock, box)
    run = desk.doubt(taken=False)
    EnrollmentActions(ledger, desk.world.sender.catalog, desk.settings).send_now(run, 3)
    desk.world.release()
    post = ledger.post

    class Meanwhile:
        """Resend's list, read when the claimed email has just been taken."""

        def listed(self, after: str | None = None) -> tuple[list[Listed], bool]:
            """A page of it."""
            desk.send("ada@example.org", desk.subject(run, 3))
            return desk.unanswered.listed(after)

    def look_then_post(*given: Any, **named: Any) -> Any:
        ledger.post = post  # type: ignore[method-assign]
        desk.looking(Meanwhile(), TwoAlike(desk.subjects.catalog, desk.subjects.templates, desk.settings)).poll()
        return None

    ledger.post = look_then_post  # type: ignore[method-assign]
    job = desk.world.next_job()
    assert job == (run, 3)
    desk.world.sender.send(*job)
    assert desk.world.states(run)[1:3] == ["in-doubt", "sending"]
