"""The stories that customers live through, over all seven campaigns, and the crowd that lives them."""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from benchmarks.chaos.customers import Customer, RefusedError, World
from shared.ledger import ids


def plain_christmas(c: Customer) -> None:
    """Seven emails; the form is posted twice."""
    c.sign_up("christmas-signup", times=1 + c.number % 2)


def website_sent_the_first(c: Customer) -> None:
    """Four emails after the website's own."""
    c.sign_up("christmas-assessment", first=2, email_1_status="sent", email_1_sent_at=datetime.now(UTC).isoformat())


def website_failed(c: Customer) -> None:
    """Five emails, as the website's own failed; meanwhile another campaign of the group is blocked."""
    c.sign_up("christmas-assessment", email_1_status="failed")
    c.sign_up("christmas-signup", blocked=True)


def plain_busos(c: Customer) -> None:
    """Five emails."""
    c.sign_up("assessment")


def booked(c: Customer) -> None:
    """Two reminders."""
    c.book()


def moved(c: Customer) -> None:
    """A booking that is moved: two reminders of the new time, none more of the old one."""
    uid, _, run = c.book()
    time.sleep(c.world.width / 2)
    c.book(old=uid, old_run=run)


def cancelled_meeting(c: Customer) -> None:
    """A booking that is cancelled between its reminders; and one whose cancellation comes first."""
    uid, starts, run = c.book()
    time.sleep(c.world.width * 1.5)
    c.ended(run, "the meeting was cancelled", c.calendar("cancel", uid, starts))
    early, when = uuid.uuid4().hex[:22], starts + timedelta(hours=2)
    c.calendar("cancel", early, when)
    c.calendar("book", early, when)


def missed(c: Customer) -> None:
    """A call that was missed: three emails to find another time."""
    uid, starts, _ = c.book()
    time.sleep(c.world.width * 3.5)
    done = c.calendar("no-show", uid, starts)
    c.enrolled(f"{ids.enrollment_prefix('noshow-recovery', uid)}-1", (1, 2, 3), done)


def after_the_call(c: Customer) -> None:
    """Three emails after a maybe."""
    c.reported("postcall-maybe", "postcall-maybe")


def became_client(c: Customer) -> None:
    """The sequence ends, the welcome begins."""
    run = c.sign_up("christmas-assessment", first=2)
    c.await_emails(1)
    c.reported("onboarding-start", "onboarding", ends=run)


def booked_meanwhile(c: Customer) -> None:
    """A booking ends the sequence."""
    run = c.sign_up("christmas-signup")
    c.await_emails(2)
    c.book(ends=run)


def paused_a_while(c: Customer) -> None:
    """Held after the first email, and resumed."""
    run = c.sign_up("christmas-signup")
    c.await_emails(1)
    c.steer("pause", run)
    time.sleep(c.world.width * 1.5)
    c.steer("resume", run)


def cancelled_by_hand(c: Customer) -> None:
    """Ended by the owner after the second email."""
    run = c.sign_up("assessment")
    c.await_emails(2)
    c.steer("cancel", run)


def unsubscribed(c: Customer) -> None:
    """One click in the first email."""
    run = c.sign_up("assessment")
    c.await_emails(1)
    link, form = c.world.inbox.to(c.address)[0].unsubscribe, {"Content-Type": "application/x-www-form-urlencoded"}
    c.ended(run, "unsubscribed", c.post(link, b"List-Unsubscribe=One-Click", form))


def bounced(c: Customer) -> None:
    """The first email comes back."""
    c.await_exit(c.sign_up("christmas-signup"), "bounced")


def complained(c: Customer) -> None:
    """The first email is marked as spam."""
    c.await_exit(c.sign_up("assessment"), "complained")


Story = Callable[[Customer], None]
STORIES: tuple[Story, ...] = (
    plain_christmas, booked_meanwhile, plain_busos, missed, website_sent_the_first, paused_a_while, after_the_call, became_client,
    moved, unsubscribed, website_failed, cancelled_meeting, bounced, paused_a_while, booked, cancelled_by_hand, complained, plain_christmas,
)  # fmt: skip


class Crowd:
    """The customers, one thread each.

    Args:
        world: where they live.
        count: how many.
        over: seconds over which they come.
        seed: of what they do by chance.
    """

    def __init__(self, world: World, count: int, over: float, seed: int) -> None:
        self.world, self.count, self.over, self.seed = world, count, over, seed
        self.troubles: list[str] = []
        self._threads: list[threading.Thread] = []

    def come(self) -> None:
        """Let them come, one after the other; returns when the last has begun."""
        began = time.monotonic()
        for number, story in zip(range(self.count), itertools.cycle(STORIES), strict=False):
            time.sleep(max(0.0, began + self.over * number / self.count - time.monotonic()))
            kind = story.__name__ if story in (bounced, complained) else ""
            address = f"{kind}+{number}@resend.dev" if kind else f"c{number}@example.org"
            customer = Customer(self.world, number, address, random.Random(f"{self.seed} {number}"))
            name = f"customer {number} ({story.__name__})"
            self._threads.append(threading.Thread(target=self._live, args=(story, customer), name=name, daemon=True))
            self._threads[-1].start()

    @property
    def busy(self) -> bool:
        """Whether a customer still has something to do; each gives up in the end."""
        return any(thread.is_alive() for thread in self._threads)

    def _live(self, story: Story, customer: Customer) -> None:
        try:
            story(customer)
        except (RefusedError, TimeoutError) as error:
            self.troubles.append(f"{threading.current_thread().name}: {error}")
