"""Whole funnels on a clock of their own: what the provider accepted, when, for each campaign; and what an outage or an
exit does to it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest

from shared.domain.forms import MeetingEvent, NewClient, NoShow, PostCall, SignUp
from shared.domain.send_window import SendWindow
from shared.domain.timing import DAY, HOUR
from shared.intake import enrolling, meetings
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.sending.result import Result
from tests.conftest import START, Clock
from tests.support.functions_client import ADDRESS
from tests.support.world import SETTINGS, World

MINUTE = 60_000
SCORES = {"CRITICAL": {"red_systems": 2}, "URGENT": {"red_systems": 1}, "OPTIMIZE": {"green_systems": 8}}
TRIGGERS = {"christmas": "christmas-signup", "five-day": "christmas-assessment", "busos": "assessment"}
# Hours from the anchor, and the templates of each campaign. Here, not read from the campaign's file: a slip there must
# be seen.
HOURS: dict[str, list[float]] = {
    "christmas": [0, 24, 72, 120, 168, 216, 264],
    "five-day": [24, 48, 72, 96],
    "busos": [0, 24, 72, 96, 144],
    "noshow-recovery": [0.25, 24, 72],
    "postcall-maybe": [1, 72, 168],
    "onboarding": [0, 24, 72],
    "booking-reminder": [96, 119],
}
TESTING: dict[str, list[int]] = {slug: list(range(len(hours))) for slug, hours in HOURS.items()}
TESTING |= {
    "five-day": [1, 2, 3, 4],
    "booking-reminder": [1, 2],
}  # the website sends the first; the meeting is three steps ahead
TEMPLATES: dict[str, str] = {
    "christmas": "christmas_email_1 2 3 4 5 6 7",
    "christmas CRITICAL": "christmas_email_1 2_critical 3 4 5_critical 6 7",
    "five-day": "five_day_email_2 3 4 5",
    "busos CRITICAL": "busos_email_1 2a 3 4 5a",
    "busos URGENT": "busos_email_1 2b 3 4 5b",
    "busos OPTIMIZE": "busos_email_1 2c 3 4 5c",
    "noshow-recovery": "noshow_email_1 2 3",
    "postcall-maybe": "postcall_email_1 2 3",
    "onboarding": "onboarding_email_1 2 3",
    "booking-reminder": "reminder_email_1 2",
}


class Noted(dict[tuple[str, str], Any]):
    """Templates that remember which of them were asked for."""

    def __init__(self, templates: Any) -> None:
        super().__init__(templates)
        self.asked: list[str] = []

    def __getitem__(self, key: tuple[str, str]) -> Any:
        self.asked.append(key[1])
        return super().__getitem__(key)


@dataclass
class Funnel(World):
    """A world in which time goes from one due instant to the next, and which notes what each accepted email was made
    from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.noted = Noted(self.sender.templates)
        self.sender = replace(self.sender, templates=self.noted)
        self.instants: list[tuple[str, int]] = []

    def work(self) -> list[Result]:
        """As a world does; notes when the provider took what."""
        before = len(self.provider.accepted)
        results = super().work()
        for email in self.provider.accepted[before:]:
            self.instants.append(
                ({tag["name"]: tag["value"] for tag in email["tags"]}["campaign"], self.clock.now - START)
            )
        return results

    def enter(self, slug: str, scores: dict[str, int] | None = None, **form: Any) -> None:
        """Let Ada (or the person whom the form names) come in through the campaign's webhook."""
        given = {"email": ADDRESS, "first_name": "Ada", **form}
        if trigger := TRIGGERS.get(slug):
            enrolling.sign_up(
                SignUp.model_validate(given | (scores or SCORES["OPTIMIZE"])), trigger=trigger, intake=self.intake
            )
        elif slug == "booking-reminder":
            self.book()
        else:
            models: dict[str, tuple[type[NoShow | PostCall | NewClient], str]] = {
                "noshow-recovery": (NoShow, "calendly-noshow"),
                "postcall-maybe": (PostCall, slug),
                "onboarding": (NewClient, "onboarding-start"),
            }
            model, trigger = models[slug]
            enrolling.report(model.model_validate(given), trigger=trigger, intake=self.intake)

    def book(self, email: str = ADDRESS) -> None:
        """A booking for in five days."""
        now = self.clock.now
        event = MeetingEvent("booked", f"booked:{now}", f"uid-{now}", now, now + 5 * DAY, contact={"email": email})
        meetings.report(event, trigger="calcom-booking", intake=self.intake)

    def until(self, end: int) -> None:
        """Let time pass from one due instant to the next, as the scheduler does, up to `end`."""
        self.work()
        while True:
            following = self.redis.zrange(ids.OPEN, 0, 0, withscores=True)
            upcoming = int(following[0][1]) if following else end + 1
            if upcoming > end:
                break
            self.clock.now = max(upcoming, self.clock.now + 1)
            self.work()
        self.clock.now = end
        self.work()

    def sent(self, slug: str) -> list[float]:
        """When the campaign's emails were accepted, in hours since the beginning."""
        return [at / HOUR for campaign, at in self.instants if campaign == slug]

    def change(self, slug: str, **changes: Any) -> None:
        """Have the campaign's file say something else."""
        catalog = self.sender.catalog
        campaign = catalog.campaigns[slug].model_copy(update=changes)
        self.sender = replace(self.sender, catalog=replace(catalog, campaigns={**catalog.campaigns, slug: campaign}))

    def state(self, slug: str, subject: str = ADDRESS) -> tuple[str, str | None]:
        """The state of the run, and why."""
        run = self.run(f"{ids.enrollment_prefix(slug, subject)}-1")
        return run.state, run.why


@pytest.fixture
def funnel(ledger: Ledger, clock: Clock) -> Funnel:
    return Funnel(ledger, clock)


def spelled(short: str) -> list[str]:
    """`a_email_1 2 3` in full."""
    first, *rest = short.split()
    return [first, *(f"{first.rpartition('_')[0]}_{number}" for number in rest)]


@pytest.mark.parametrize("slug", HOURS)
class TestInstants:
    """Each campaign from its webhook to its last email."""

    def test_in_production(self, funnel: Funnel, slug: str) -> None:
        """Every email at its very instant, none before, none twice, none after."""
        funnel.enter(slug)
        funnel.until(START + 30 * DAY)
        assert funnel.sent(slug) == HOURS[slug] == [at / HOUR for _, at in funnel.instants]
        assert funnel.provider.twice == []

    def test_in_testing_mode(self, ledger: Ledger, clock: Clock, slug: str) -> None:
        """The same emails, a minute apart."""
        funnel = Funnel(ledger, clock, SETTINGS.model_copy(update={"testing_mode": True}))
        funnel.enter(slug)
        funnel.until(START + HOUR)
        assert [at / MINUTE for _, at in funnel.instants] == TESTING[slug]


@pytest.mark.parametrize("case", TEMPLATES)
def test_templates_by_segment(funnel: Funnel, case: str) -> None:
    """Each segment gets its own texts, in order."""
    slug, _, segment = case.partition(" ")
    funnel.enter(slug, SCORES[segment or "OPTIMIZE"])
    funnel.until(START + 30 * DAY)
    assert funnel.noted.asked == spelled(TEMPLATES[case])


def test_a_later_assessment_changes_the_texts_that_follow(funnel: Funnel) -> None:
    """A person who answers again, and worse, gets the urgent texts from there on, and no second run."""
    funnel.enter("busos")
    funnel.until(START + 30 * HOUR)
    funnel.enter("busos", SCORES["CRITICAL"])
    funnel.until(START + 30 * DAY)
    assert funnel.noted.asked == spelled("busos_email_1 2c 3 4 5a")


class TestOutage:
    """Nothing runs for a while."""

    @pytest.mark.parametrize(
        ("slug", "down", "expected"),
        [
            ("christmas", 25, [0, 24, 97, 145, 193, 241, 289]),
            ("five-day", 25, [24, 97, 121, 145]),
            ("busos", 25, [0, 24, 97, 121, 169]),
            ("noshow-recovery", 1, [0.25, 73, 121]),
            ("postcall-maybe", 2, [1, 74, 168]),
            ("onboarding", 1, [0, 73, 121]),
            ("booking-reminder", 90, []),
        ],
    )
    def test_three_days(self, funnel: Funnel, slug: str, down: int, expected: list[float]) -> None:
        """What is more than 12 hours late goes at once, and the gaps after it stay; a reminder that is too late is left
        out."""
        funnel.enter(slug)
        funnel.until(START + down * HOUR)
        funnel.clock.advance(hours=72)
        funnel.until(START + 40 * DAY)
        assert funnel.sent(slug) == expected
        assert funnel.provider.twice == []

    def test_no_one_gets_two_nurture_emails_at_once(self, funnel: Funnel) -> None:
        """Thirty people at all stages of the three campaigns: there is at least half a day between two emails."""
        people = {
            f"person{number}@example.org": slug
            for number, slug in zip(range(30), itertools.cycle(TRIGGERS), strict=False)
        }
        for email, slug in people.items():
            funnel.enter(slug, email=email)
            funnel.until(funnel.clock.now + 7 * HOUR)
        funnel.clock.advance(hours=72)
        funnel.until(START + 40 * DAY)
        received: dict[str, list[int]] = {email: [] for email in people}
        for (_, at), request in zip(funnel.instants, funnel.provider.accepted, strict=True):
            received[request["to"][0]].append(at)
        gaps = [later - earlier for times in received.values() for earlier, later in itertools.pairwise(times)]
        assert len(gaps) > 60 and min(gaps) >= 12 * HOUR
        per_person = {"christmas": 7, "five-day": 4, "busos": 5}
        assert len(funnel.provider.accepted) == sum(per_person[slug] for slug in people.values())

    def test_a_short_outage_moves_nothing(self, funnel: Funnel) -> None:
        """What is up to 12 hours late goes at once, and the rest at its own time."""
        funnel.enter("christmas")
        funnel.until(START + 70 * HOUR)
        funnel.clock.advance(hours=13)
        funnel.until(START + 30 * DAY)
        assert funnel.sent("christmas") == [0, 24, 83, 120, 168, 216, 264]

    @pytest.mark.parametrize(
        ("policy", "expected"), [("send", [24, 97, 97, 97]), ("skip", [24, 97]), ("shift", [24, 97, 121, 145])]
    )
    def test_each_late_policy(self, funnel: Funnel, policy: str, expected: list[float]) -> None:
        """`send`: all at once; `skip`: only what is in time; `shift`: one, and the gaps stay."""
        funnel.change(
            "five-day", late=funnel.sender.catalog.campaigns["five-day"].late.model_copy(update={"policy": policy})
        )
        funnel.enter("five-day")
        funnel.until(START + 25 * HOUR)
        funnel.clock.advance(hours=72)
        funnel.until(START + 30 * DAY)
        assert funnel.sent("five-day") == expected


@pytest.mark.parametrize(("zone", "opens"), [("America/Toronto", 6), ("Europe/Berlin", 0), ("Asia/Tokyo", 16)])
def test_the_send_window_is_respected(funnel: Funnel, zone: str, opens: int) -> None:
    """Friday 08:00 UTC: each email waits for nine in the morning where the person lives, and no longer than that."""
    funnel.change("busos", window=SendWindow.model_validate({"from": "09:00", "to": "10:00"}))
    funnel.enter("busos", timezone=zone)
    funnel.until(START + 30 * DAY)
    assert funnel.sent("busos") == [hours + opens for hours in HOURS["busos"]]


class TestExits:
    """What ends a funnel half-way."""

    @pytest.mark.parametrize("reason", ["booked", "client", "unsubscribed", "bounced", "complained"])
    @pytest.mark.parametrize("slug", [*TRIGGERS, "postcall-maybe"])
    def test_nurture_ends(self, funnel: Funnel, slug: str, reason: str) -> None:
        """From that moment on none of it is sent, and the run says why."""
        funnel.enter(slug)
        funnel.until(START + 30 * HOUR)
        so_far = funnel.sent(slug)
        self.happen(funnel, reason)
        funnel.until(START + 30 * DAY)
        assert so_far and funnel.sent(slug) == so_far
        assert funnel.state(slug) == ("exited", reason)

    @pytest.mark.parametrize(
        ("reason", "count"), [("booked", 3), ("unsubscribed", 3), ("bounced", 2), ("complained", 2)]
    )
    def test_only_a_bounce_or_a_complaint_ends_onboarding(self, funnel: Funnel, reason: str, count: int) -> None:
        """Onboarding is part of the work: neither a booking nor an unsubscribe stops it."""
        funnel.enter("onboarding")
        funnel.until(START + 30 * HOUR)
        self.happen(funnel, reason)
        funnel.until(START + 30 * DAY)
        assert len(funnel.sent("onboarding")) == count

    @staticmethod
    def happen(funnel: Funnel, reason: str) -> None:
        """Let it happen to Ada."""
        if reason == "booked":
            funnel.enter("booking-reminder")
        elif reason == "client":
            funnel.enter("onboarding")
        else:
            funnel.ledger.suppress(ids.digest(ADDRESS), reason)


@pytest.mark.parametrize("order", list(itertools.permutations(TRIGGERS)), ids=" ".join)
def test_one_nurture_campaign_at_a_time(funnel: Funnel, order: tuple[str, ...]) -> None:
    """The first holds the others off; when it is over, the next may begin, and what has ended does not begin again."""
    for slug in order:
        funnel.enter(slug)
    funnel.until(START + 30 * DAY)
    assert {campaign for campaign, _ in funnel.instants} == {order[0]}
    funnel.enter(order[0])
    funnel.enter(order[1])
    funnel.until(START + 60 * DAY)
    assert [campaign for campaign, _ in funnel.instants] == [order[0]] * len(HOURS[order[0]]) + [order[1]] * len(
        HOURS[order[1]]
    )
