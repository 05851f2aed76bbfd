"""Histories with a ledger that may get lost: what a person was in before, and what came in before the restore."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

from shared.core.errors import ActionError, SendError
from shared.domain.forms import MeetingEvent, NewClient, NoShow, PostCall, SignUp
from shared.intake import enrolling, meetings
from shared.integrations.provider import Accepted
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from shared.operations.notion_pause import NotionPause
from tests.conftest import START, Clock
from tests.support.lost_ledger import LostLedger
from tests.support.sandbox_server import sandbox
from tests.support.world import ADA

ADDRESS = str(ADA["email"])
CONTACT = ids.digest(ADDRESS)
CHRISTMAS, BUSOS, FIVE_DAY, POSTCALL, NOSHOW = (
    ids.enrollment_prefix(slug, ADDRESS)
    for slug in ("christmas", "busos", "five-day", "postcall-maybe", "noshow-recovery")
)
DAY = 24 * 3_600_000


class Tale:
    """Ada's history with Evergreen, a part of which may be lost."""

    def __init__(self, lost: LostLedger) -> None:
        self.lost, self.world, self.clock = lost, lost.world, lost.clock
        self.actions = EnrollmentActions(lost.ledger, lost.world.sender.catalog, lost.settings)
        self.resend = lost.provider
        self.fault: SendError | None = None
        # nothing goes as a batch
        self.world.sender = dataclasses.replace(self.world.sender, provider=self)  # type: ignore[arg-type]

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Resend, which may refuse the next email."""
        fault, self.fault = self.fault, None
        if fault:
            raise fault
        return self.resend.send(email, key=key)

    def time(self) -> int | None:
        """What time it says it is."""
        return self.resend.time()

    def pass_hours(self, hours: int) -> None:
        """Let time pass and work, six hours at a step."""
        for _ in range(hours // 6):
            self.clock.advance(hours=6)
            self.world.work()

    def lose(self) -> None:
        """Notion has everything; then Redis is gone, and the scheduler finds that out."""
        self.lost.record()
        self.lost.lose()
        self.lost.fence.poll()

    def signs_up(self, trigger: str = "christmas-signup", **form: Any) -> None:
        """Ada posts a form."""
        enrolling.sign_up(SignUp.model_validate(ADA | form), trigger=trigger, intake=self.world.intake)
        self.world.work()

    def is_reported(self, form: type[NoShow | PostCall | NewClient], trigger: str, **more: Any) -> None:
        """The operator reports something about her."""
        told = form.model_validate({"email": ADDRESS, "first_name": "Ada"} | more)
        enrolling.report(told, trigger=trigger, intake=self.world.intake)
        self.world.work()

    def calendar(self, what: str, trigger: str = "calcom-booking", *, uid: str = "uid", at: int | None = None) -> None:
        """The calendar reports something about her meeting in three days."""
        now = self.clock.now if at is None else at
        ada = {"email": ADDRESS, "name": "Ada"}
        event = MeetingEvent(cast(Any, what), f"{what}-{now}", uid, now, START + 30 * DAY, contact=ada)
        meetings.report(event, trigger=trigger, intake=self.world.intake)
        self.world.work()

    def decides(self, decision: str, run: str, *more: Any) -> None:
        """The operator decides, where that is possible."""
        with contextlib.suppress(ActionError):
            getattr(self.actions, decision)(run, *more)
        self.world.work()

    def restore(self, **how: Any) -> Counter[str]:
        """Restore, and let it send; the dry run before said the same."""
        dry = self.lost.restorer(**how).restore(dry=True)
        report = self.lost.restore(**how)
        assert dry.as_dict == report.as_dict | {"dry": True}
        self.world.work()
        return report.runs

    def states(self) -> dict[str, tuple[str, ...]]:
        """Each enrollment in a campaign that sends: its state, and those of its steps."""
        keys = self.lost.ledger.redis.scan_iter("eg:enrollment:*")
        runs = [self.world.run(key.removeprefix("eg:enrollment:")) for key in keys]
        return {run.id: (run.state, *(step.state for step in run.steps)) for run in runs if run.steps}

    def open(self) -> set[str]:
        """The enrollments that continue, or could."""
        return {run for run, (state, *_) in self.states().items() if state in ("active", "paused")}


@contextlib.contextmanager
def telling(ledger: Ledger, clock: Clock) -> Iterator[Callable[[], Tale]]:
    """Begins a history, each time in a new world."""
    with contextlib.ExitStack() as stack:

        def begin() -> Tale:
            ledger.redis.flushall()
            clock.now = START
            box = stack.enter_context(sandbox(clock=lambda: clock.now / 1000))
            return Tale(LostLedger(ledger, clock, box))

        yield begin


def goes_on(tale: Tale) -> None:
    """Two of seven emails are out."""
    tale.signs_up()
    tale.lost.record()
    tale.pass_hours(30)


def in_doubt(tale: Tale) -> None:
    """It is not known whether the second went out."""
    tale.signs_up()
    tale.pass_hours(18)
    tale.fault = SendError("conflict", "another body")
    tale.pass_hours(12)


def failed(tale: Tale) -> None:
    """The second was refused."""
    tale.signs_up()
    tale.pass_hours(18)
    tale.fault = SendError("refused", "no such domain")
    tale.pass_hours(12)


def paused(tale: Tale) -> None:
    """The operator has paused it."""
    goes_on(tale)
    tale.decides("pause", f"{CHRISTMAS}-1")


def ticked(tale: Tale) -> None:
    """The owner has ticked Pause in Notion."""
    goes_on(tale)
    tale.lost.record()
    tale.lost.change(tale.lost.rows("tracker")[0]["id"], Pause={"checkbox": True})
    NotionPause(tale.lost.ledger, tale.actions, tale.lost.settings, tale.lost.notion).poll()


def moved(tale: Tale) -> None:
    """It was paused and resumed: the anchor is later than the sign-up."""
    paused(tale)
    tale.pass_hours(48)
    tale.decides("resume", f"{CHRISTMAS}-1")


def cancelled(tale: Tale) -> None:
    """The operator has ended it."""
    goes_on(tale)
    tale.decides("cancel", f"{CHRISTMAS}-1")


def exited(tale: Tale) -> None:
    """She had become a client."""
    goes_on(tale)
    client(tale)


def completed(tale: Tale) -> None:
    """All emails are out."""
    tale.signs_up()
    tale.pass_hours(24 * 12)


def only_tracked(tale: Tale) -> None:
    """She only gave her address."""
    enrolling.sign_up(SignUp.model_validate({"email": ADDRESS}), trigger="christmas-signup", intake=tale.world.intake)


def by_website(tale: Tale) -> None:
    """In a campaign whose first email the website sends; nothing of it is out yet."""
    tale.signs_up("christmas-assessment")
    tale.pass_hours(6)


BEFORE = [goes_on, in_doubt, failed, paused, ticked, moved, cancelled, exited, completed, only_tracked, by_website]


def then(decision: str, *more: Any) -> Callable[[Tale], None]:
    """She signs up again, and the operator makes a decision about it."""

    def happens(tale: Tale) -> None:
        tale.signs_up()
        tale.decides(decision, f"{CHRISTMAS}-1", *more)

    happens.__name__ = f"signs up and {decision}"
    return happens


def form_again(tale: Tale) -> None:
    """The same form."""
    tale.signs_up()


def form_with_consent(tale: Tale) -> None:
    """The form, with its box ticked."""
    tale.signs_up(consent=True)


def form_of_the_website(tale: Tale) -> None:
    """The website has sent the first email."""
    tale.signs_up(email_1_status="sent")


def address_only(tale: Tale) -> None:
    """A form without what the campaign requires."""
    enrolling.sign_up(SignUp.model_validate({"email": ADDRESS}), trigger="christmas-signup", intake=tale.world.intake)


def another_campaign(tale: Tale) -> None:
    """A form of another campaign of the same group."""
    tale.signs_up("assessment")


def both_campaigns(tale: Tale) -> None:
    """First the other's form, then the same again."""
    tale.signs_up("assessment")
    tale.signs_up()


def another_one_and_pause(tale: Tale) -> None:
    """The operator pauses whichever of them is open."""
    tale.signs_up("assessment")
    for run in (f"{CHRISTMAS}-1", f"{BUSOS}-1", f"{FIVE_DAY}-1"):
        tale.decides("pause", run)


def booking(tale: Tale) -> None:
    """She books."""
    tale.calendar("booked")


def booking_told_late(tale: Tale) -> None:
    """Her calendar reports a day and a half later that she has booked: before the anchor, where that was moved, and
    after the sign-up."""
    tale.calendar("booked", at=tale.clock.now - 36 * 3_600_000)


def form_then_booking(tale: Tale) -> None:
    """She signs up and books."""
    tale.signs_up()
    tale.calendar("booked")


def booking_then_form(tale: Tale) -> None:
    """She books, and signs up a little later."""
    tale.calendar("booked")
    tale.clock.advance(hours=1)
    tale.signs_up()


def client(tale: Tale) -> None:
    """She becomes a client."""
    tale.is_reported(NewClient, "onboarding-start")


def call(tale: Tale) -> None:
    """A call ends with a maybe."""
    tale.is_reported(PostCall, "postcall-maybe")


def no_show(tale: Tale) -> None:
    """She misses a call."""
    tale.is_reported(NoShow, "calendly-noshow", event_id="a call")


def unsubscribes(tale: Tale) -> None:
    """She signs up, and wants no more."""
    tale.signs_up()
    tale.lost.ledger.suppress(CONTACT, "unsubscribed")


def nothing(_tale: Tale) -> None:
    """No visitor comes."""


AFTER = [
    *(
        nothing,
        form_again,
        form_with_consent,
        form_of_the_website,
        address_only,
        another_campaign,
        both_campaigns,
        another_one_and_pause,
    ),
    *(booking, booking_told_late, form_then_booking, booking_then_form, client, call, no_show, unsubscribes),
    *(then("pause"), then("cancel"), then("skip", 4)),
]
BY_HAND = AFTER[-3:]


def outcome(tale: Tale) -> tuple[Counter[str], set[str], dict[str, tuple[str, ...]]]:
    """Live on for two weeks; which emails are out by then, which enrollments were open at its begin, and what is left
    of each."""
    began = tale.open()
    groups = Counter(tale.lost.ledger.redis.hget(ids.enrollment_key(run), "group") or run for run in began)
    assert max(groups.values(), default=1) == 1, "two open enrollments of one group"
    tale.pass_hours(24 * 15)
    return tale.lost.sent(), began, {run: states for run, states in tale.states().items() if run in began}


def lived(tale: Tale, before: Callable[[Tale], None], after: Callable[[Tale], None], *, loses: bool) -> Tale:
    """A history up to the instant at which the ledger is restored, if it is lost."""
    before(tale)
    if loses:
        tale.lose()
    else:
        tale.actions.stop_sending()  # as the fence does
    tale.clock.advance(hours=1)
    after(tale)
    tale.clock.advance(hours=1)
    if not loses:
        tale.actions.start_sending()
        tale.world.work()
    return tale
