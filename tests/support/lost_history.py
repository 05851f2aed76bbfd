"""Stories of a ledger that may get lost: what a person was in before, and what came in before the restore."""

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


class Story:
    """Ada's story with Evergreen, a part of which may be lost."""

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
        given = form.model_validate({"email": ADDRESS, "first_name": "Ada"} | more)
        enrolling.report(given, trigger=trigger, intake=self.world.intake)
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
def stories(ledger: Ledger, clock: Clock) -> Iterator[Callable[[], Story]]:
    """Starts a story, each time in a new world."""
    with contextlib.ExitStack() as stack:

        def begin() -> Story:
            ledger.redis.flushall()
            clock.now = START
            box = stack.enter_context(sandbox(clock=lambda: clock.now / 1000))
            return Story(LostLedger(ledger, clock, box))

        yield begin


def under_way(story: Story) -> None:
    """Two of seven emails are out."""
    story.signs_up()
    story.lost.record()
    story.pass_hours(30)


def in_doubt(story: Story) -> None:
    """It is not known whether the second went out."""
    story.signs_up()
    story.pass_hours(18)
    story.fault = SendError("conflict", "another body")
    story.pass_hours(12)


def failed(story: Story) -> None:
    """The second was refused."""
    story.signs_up()
    story.pass_hours(18)
    story.fault = SendError("refused", "no such domain")
    story.pass_hours(12)


def paused(story: Story) -> None:
    """The operator has paused it."""
    under_way(story)
    story.decides("pause", f"{CHRISTMAS}-1")


def ticked(story: Story) -> None:
    """The owner has ticked Pause in Notion."""
    under_way(story)
    story.lost.record()
    story.lost.change(story.lost.rows("tracker")[0]["id"], Pause={"checkbox": True})
    NotionPause(story.lost.ledger, story.actions, story.lost.settings, story.lost.notion).poll()


def moved(story: Story) -> None:
    """It was paused and resumed: the anchor is later than the sign-up."""
    paused(story)
    story.pass_hours(48)
    story.decides("resume", f"{CHRISTMAS}-1")


def cancelled(story: Story) -> None:
    """The operator has ended it."""
    under_way(story)
    story.decides("cancel", f"{CHRISTMAS}-1")


def exited(story: Story) -> None:
    """She had become a client."""
    under_way(story)
    client(story)


def completed(story: Story) -> None:
    """All emails are out."""
    story.signs_up()
    story.pass_hours(24 * 12)


def only_tracked(story: Story) -> None:
    """She only gave her address."""
    enrolling.sign_up(SignUp.model_validate({"email": ADDRESS}), trigger="christmas-signup", intake=story.world.intake)


def by_website(story: Story) -> None:
    """In a campaign whose first email the website sends; nothing of it is out yet."""
    story.signs_up("christmas-assessment")
    story.pass_hours(6)


BEFORE = [under_way, in_doubt, failed, paused, ticked, moved, cancelled, exited, completed, only_tracked, by_website]


def then(decision: str, *more: Any) -> Callable[[Story], None]:
    """She signs up again, and the operator makes a decision about it."""

    def happens(story: Story) -> None:
        story.signs_up()
        story.decides(decision, f"{CHRISTMAS}-1", *more)

    happens.__name__ = f"signs up and {decision}"
    return happens


def form_again(story: Story) -> None:
    """The same form."""
    story.signs_up()


def form_with_consent(story: Story) -> None:
    """The form, with its box ticked."""
    story.signs_up(consent=True)


def form_from_the_website(story: Story) -> None:
    """The website has sent the first email."""
    story.signs_up(email_1_status="sent")


def address_only(story: Story) -> None:
    """A form without what the campaign requires."""
    enrolling.sign_up(SignUp.model_validate({"email": ADDRESS}), trigger="christmas-signup", intake=story.world.intake)


def another_campaign(story: Story) -> None:
    """A form of another campaign of the same group."""
    story.signs_up("assessment")


def both_campaigns(story: Story) -> None:
    """First the other's form, then the same again."""
    story.signs_up("assessment")
    story.signs_up()


def another_campaign_and_pause(story: Story) -> None:
    """The operator pauses whichever of them is open."""
    story.signs_up("assessment")
    for run in (f"{CHRISTMAS}-1", f"{BUSOS}-1", f"{FIVE_DAY}-1"):
        story.decides("pause", run)


def booking(story: Story) -> None:
    """She books."""
    story.calendar("booked")


def booking_reported_late(story: Story) -> None:
    """Her calendar reports a day and a half later that she has booked: before the anchor, where that was moved, and
    after the sign-up."""
    story.calendar("booked", at=story.clock.now - 36 * 3_600_000)


def form_then_booking(story: Story) -> None:
    """She signs up and books."""
    story.signs_up()
    story.calendar("booked")


def booking_then_form(story: Story) -> None:
    """She books, and signs up a little later."""
    story.calendar("booked")
    story.clock.advance(hours=1)
    story.signs_up()


def client(story: Story) -> None:
    """She becomes a client."""
    story.is_reported(NewClient, "onboarding-start")


def call(story: Story) -> None:
    """A call ends with a maybe."""
    story.is_reported(PostCall, "postcall-maybe")


def no_show(story: Story) -> None:
    """She misses a call."""
    story.is_reported(NoShow, "calendly-noshow", event_id="a call")


def unsubscribes(story: Story) -> None:
    """She signs up, and wants no more."""
    story.signs_up()
    story.lost.ledger.suppress(CONTACT, "unsubscribed")


def nothing(_tale: Story) -> None:
    """No visitor comes."""


AFTER = [
    *(
        nothing,
        form_again,
        form_with_consent,
        form_from_the_website,
        address_only,
        another_campaign,
        both_campaigns,
        another_campaign_and_pause,
    ),
    *(booking, booking_reported_late, form_then_booking, booking_then_form, client, call, no_show, unsubscribes),
    *(then("pause"), then("cancel"), then("skip", 4)),
]
DECISIONS = AFTER[-3:]


def outcome(story: Story) -> tuple[Counter[str], set[str], dict[str, tuple[str, ...]]]:
    """Live on for two weeks; which emails are out by then, which enrollments were open at its begin, and what is left
    of each."""
    began = story.open()
    groups = Counter(story.lost.ledger.redis.hget(ids.enrollment_key(run), "group") or run for run in began)
    assert max(groups.values(), default=1) == 1, "two open enrollments of one group"
    story.pass_hours(24 * 15)
    return story.lost.sent(), began, {run: states for run, states in story.states().items() if run in began}


def live_through(
    story: Story, before: Callable[[Story], None], after: Callable[[Story], None], *, loses: bool
) -> Story:
    """A story up to the instant at which the ledger is restored, if it is lost."""
    before(story)
    if loses:
        story.lose()
    else:
        story.actions.stop_sending()  # as the fence does
    story.clock.advance(hours=1)
    after(story)
    story.clock.advance(hours=1)
    if not loses:
        story.actions.start_sending()
        story.world.work()
    return story
