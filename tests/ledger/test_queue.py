"""Queued enrollments: who a group blocks waits, and starts when the other ends; or is visible as blocked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from shared.core.errors import ActionError
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Blocked
from shared.domain.forms import NewClient, SignUp
from shared.domain.timing import DAY, HOUR
from shared.emails.template_store import compile_templates
from shared.intake import enrolling
from shared.ledger import ids
from shared.ledger.answers import Enrolled
from shared.ledger.client import Ledger
from shared.ledger.obstacles import obstacle
from shared.operations import privacy
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import START, Clock
from tests.support.world import SETTINGS, World

ADDRESS = "ada@example.org"
CONTACT = ids.digest(ADDRESS)
WAITED = "it waited as long as it may"


def campaign(slug: str, **settings: Any) -> Campaign:
    """A campaign of three daily emails in one group."""
    steps: list[dict[str, Any]] = [{"number": n, "after": f"{24 * (n - 1)}h", "template": "x"} for n in (1, 2, 3)]
    steps[0]["sent_by"] = "website-if-reported"
    least = {"slug": slug, "name": slug, "trigger": slug, "late": {"after": "12h", "policy": "send"}, "steps": steps}
    return Campaign.model_validate(least | {"group": "nurture"} | settings)


CAMPAIGNS = (
    campaign("first", exit_on=["client"]),
    campaign("second", queue_for="14d", exit_on=["client"]),
    campaign("third", queue_for="14d"),
    campaign("short", queue_for="24h"),
    campaign("plain"),
    campaign("client"),
)
SOURCES = {(found.slug, "x"): "Subject: Hello\n\nAll the best." for found in CAMPAIGNS}
CATALOG = Catalog({found.slug: found for found in CAMPAIGNS}, SOURCES)
TEMPLATES = compile_templates(CATALOG, SETTINGS)


class Desk(World):
    """A world with these campaigns."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sender = dataclasses.replace(self.sender, catalog=CATALOG, templates=TEMPLATES)

    @property
    def actions(self) -> EnrollmentActions:
        """What a person decides."""
        return EnrollmentActions(self.ledger, CATALOG, self.settings)

    def join(self, slug: str, **form: Any) -> Enrolled:
        """Sign Ada up; returns what became of it."""
        given = SignUp.model_validate({"email": ADDRESS} | form)
        return enrolling.sign_up(given, trigger=slug, intake=self.intake).outcome

    def report_client(self) -> None:
        """Ada became a client."""
        enrolling.report(NewClient.model_validate({"email": ADDRESS}), trigger="client", intake=self.intake)

    def sent(self, run: str) -> list[int]:
        """When each email of a run was sent, in hours after the test's start."""
        return [round((step.sent_at - START) / HOUR) for step in self.run(run).steps if step.sent_at is not None]

    def queued(self, slug: str = "second") -> str:
        """Ada is in the first campaign, and then signs up for another; returns the run that waits."""
        self.join("first")
        self.work()
        what, run = self.join(slug)
        assert (what, self.run(run).state) == ("queued", "queued")
        return run


@pytest.fixture
def desk(ledger: Ledger, clock: Clock) -> Desk:
    return Desk(ledger, clock)


def test_it_starts_when_the_other_ends(desk: Desk) -> None:
    """At once, and its delays count from then; until then, nothing of it is scheduled."""
    run = desk.queued()
    assert (desk.run(run).steps, desk.run(run).queued_until) == ((), START + 14 * DAY)
    desk.live(120)
    assert desk.sent(run) == [48, 72, 96] and desk.run(run).state == "completed"
    assert desk.run(run).queued_until is None and desk.run(run).anchor == START + 48 * HOUR
    assert desk.redis.zcard("eg:waiting") == 0


def end_by_cancelling(desk: Desk) -> None:
    desk.actions.cancel(f"{ids.enrollment_prefix('first', ADDRESS)}-1")


def end_by_cancelling_a_paused_one(desk: Desk) -> None:
    desk.actions.pause(f"{ids.enrollment_prefix('first', ADDRESS)}-1")
    desk.clock.advance(hours=30)
    assert desk.work() == []
    end_by_cancelling(desk)


@pytest.mark.parametrize("end", [end_by_cancelling, end_by_cancelling_a_paused_one, Desk.report_client])
def test_any_end_counts(desk: Desk, end: Callable[[Desk], None]) -> None:
    """Cancelled, cancelled while it was paused, or exited; the next one starts in the same step."""
    run = desk.queued("third")
    end(desk)
    assert desk.run(run).state == "active" and desk.run(run).steps[0].due == desk.clock.now


def test_one_after_another(desk: Desk) -> None:
    """The earliest first; never two at once."""
    second = desk.queued()
    desk.clock.advance(seconds=1)
    third = desk.join("third").which
    end_by_cancelling(desk)
    assert (desk.run(second).state, desk.run(third).state) == ("active", "queued")
    desk.actions.cancel(second)
    assert desk.run(third).state == "active"


def test_what_ends_both_starts_none(desk: Desk) -> None:
    """An exit that both list ends the queued one first."""
    run = desk.queued()
    desk.report_client()
    assert (desk.run(run).state, desk.run(run).why) == ("exited", "client")
    assert desk.run(run).steps == () and desk.redis.hget("eg:tally:second", "enrolled") is None


@pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "complained", "manual"])
def test_a_suppressed_contact_never_starts(desk: Desk, reason: str) -> None:
    """It ends with the suppression, whichever comes first."""
    run = desk.queued()
    desk.ledger.suppress(CONTACT, reason)
    assert (desk.run(run).state, desk.run(run).why) == ("exited", reason)
    desk.live(72)
    assert desk.sent(run) == []


def test_a_suppression_by_a_program_that_knows_no_queues(desk: Desk) -> None:
    """An older function beside this release leaves it queued; it does not start all the same."""
    run = desk.queued()
    desk.redis.hset(ids.contact_key(CONTACT), "unsubscribed", str(START))
    desk.live(72)
    assert (desk.run(run).state, desk.run(run).steps) == ("queued", ())


def test_an_end_by_a_program_that_knows_no_queues(desk: Desk) -> None:
    """An older function frees the group, and the sweeper starts the next."""
    run = desk.queued()
    desk.redis.hdel(ids.contact_key(CONTACT), "group.nurture")
    desk.ledger.sweep(())
    assert desk.run(run).state == "active"


def test_the_sweeper_starts_only_the_first(desk: Desk) -> None:
    """Of several whose group is free, the earliest; an entry without an enrollment leaves the list."""
    run = desk.queued()
    desk.clock.advance(seconds=1)
    third = desk.join("third").which
    desk.redis.hdel(ids.contact_key(CONTACT), "group.nurture")
    desk.redis.zadd("eg:waiting", {"second-0-1": 1, third: START + DAY})
    desk.ledger.sweep(())
    assert (desk.run(run).state, desk.run(third).state) == ("active", "queued")
    assert desk.redis.zrange("eg:waiting", 0, -1) == [third]


def test_the_wait_ends(desk: Desk) -> None:
    """After `queue_for`, it ends without an email, says why, and the person may sign up again."""
    run = desk.queued("short")
    desk.live(23.75)
    assert desk.run(run).state == "queued"
    desk.live(0.25)
    found = desk.run(run)
    assert (found.state, found.steps) == ("cancelled", ()) and str(found.why).startswith(WAITED)
    assert desk.redis.ttl(ids.enrollment_key(run)) > 0
    desk.live(72)
    what, again = desk.join("short")
    assert what == "enrolled" and again.endswith("-2")


def test_a_preview_knows_the_queue(desk: Desk) -> None:
    """What a sign-up would meet is what it meets: someone else's place, its own, and that its wait is over."""

    def foreseen(slug: str) -> str | None:
        return obstacle(ADDRESS, CATALOG.campaigns[slug], desk.ledger)

    assert foreseen("short") is None
    desk.join("first")
    assert (foreseen("short"), foreseen("plain")) == ("queued", "blocked")
    assert desk.join("short").what == "queued" and foreseen("short") == "exists"
    desk.live(24)
    assert foreseen("short") == desk.join("short").what == "queued"


def test_the_other_ends_too_late(desk: Desk) -> None:
    """Where no sweeper came meanwhile, it does not start after its wait."""
    run = desk.queued("short")
    desk.clock.advance(hours=24)
    end_by_cancelling(desk)
    assert desk.run(run).state == "queued"
    desk.ledger.sweep(())
    assert desk.run(run).state == "cancelled"


def test_a_second_sign_up_while_queued(desk: Desk) -> None:
    """It exists; a retaken assessment counts in it."""
    run = desk.queued()
    assert desk.join("second", assessment_score=12) == ("exists", run)
    end_by_cancelling(desk)
    assert desk.run(run).values == {"assessment_score": "12"}


def test_a_cancelled_one_never_starts(desk: Desk) -> None:
    """A person may end it, but not pause it; it may not begin again."""
    run = desk.queued()
    with pytest.raises(ActionError, match="is queued"):
        desk.actions.pause(run)
    assert desk.actions.cancel(run) == "cancelled"
    end_by_cancelling(desk)
    assert desk.run(run).state == "cancelled" and desk.join("second") == ("exists", run)


def test_a_ticked_one_waits(desk: Desk) -> None:
    """Pause, ticked in Notion while it is queued, keeps it from starting; cleared, it starts."""
    run = desk.queued()
    desk.redis.sadd("eg:ticked", run)
    end_by_cancelling(desk)
    desk.ledger.sweep(())
    assert desk.run(run).state == "queued"
    desk.redis.srem("eg:ticked", run)
    desk.ledger.sweep(())
    assert desk.run(run).state == "active"


def test_the_websites_email_counts(desk: Desk) -> None:
    """The website has sent the first email; the second comes a day after the start."""
    desk.join("first")
    desk.work()
    run = desk.join("second", email_1_status="sent").which
    end_by_cancelling(desk)
    first, second, _ = desk.run(run).steps
    assert (first.state, first.sent_by, first.sent_at, second.due) == ("sent", "website", START, START + DAY)


def test_nothing_of_it_is_kept_for_a_forgotten_person(desk: Desk) -> None:
    """Neither the enrollment nor its place in the queue."""
    run = desk.queued()
    privacy.forget(ADDRESS, desk.ledger, desk.settings, None)
    assert desk.ledger.enrollment(run) is None and not desk.redis.exists("eg:waiting")


def test_a_full_stop_starts_no_email(desk: Desk) -> None:
    """With all sending stopped it starts, and its first email waits."""
    run = desk.queued()
    desk.actions.stop_sending()
    end_by_cancelling(desk)
    assert desk.run(run).state == "active" and desk.work() == [] and desk.sent(run) == []


class TestBlocked:
    """A campaign without `queue_for`."""

    def test_it_is_remembered(self, desk: Desk) -> None:
        """Who was blocked, by which enrollment, and when; and in the tracker, as a row without emails."""
        first = desk.join("first").which
        desk.clock.advance(hours=1)
        assert desk.join("plain") == ("blocked", first)
        contact, row = desk.ledger.contact(CONTACT), desk.run(f"{ids.enrollment_prefix('plain', ADDRESS)}-0")
        assert contact and contact.blocked == [Blocked("plain", first, START + HOUR)]
        assert (row.state, row.warning) == ("tracking", f"not enrolled, because {first} was under way")

    def test_a_later_sign_up_takes_its_place(self, desk: Desk) -> None:
        """Once it is enrolled, nothing says that it was blocked."""
        desk.join("first")
        desk.join("plain")
        end_by_cancelling(desk)
        what, run = desk.join("plain")
        contact = desk.ledger.contact(CONTACT)
        assert what == "enrolled" and desk.run(run).warning is None
        assert contact and contact.blocked == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"group": None}, "with a `group`"),
        ({"window": {"days": "mon-fri"}}, "with a window"),
        ({"steps": [{"number": 1, "before": "1h", "template": "x"}]}, "meeting's reminders"),
        ({"queue_for": "0h"}, "greater than 0"),
    ],
)
def test_what_cannot_queue(settings: dict[str, Any], words: str) -> None:
    """A campaign that could not wait is refused when it is read."""
    with pytest.raises(ValueError, match=words):
        campaign("wrong", **({"queue_for": "14d"} | settings))
