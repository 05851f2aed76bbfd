"""Clocks: the provider forgets what it took 24 hours ago by its own clock, regardless of Redis's clock."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from redis import Redis

from shared.core.errors import SendError, SendFault
from shared.integrations.provider import Accepted
from shared.ledger import script_runner
from shared.ledger.client import Ledger
from shared.ledger.script_sources import sources
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import Clock
from tests.support.provider_double import MemoryProvider
from tests.support.world import SETTINGS, World

HOUR = 3_600_000


class Apart:
    """Evergreen by Redis's clock, and a provider by the real one."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.clock, self.real = clock, Clock(clock.now)
        self.world = World(ledger, clock)
        self.provider = MemoryProvider(self.real)
        self.world.sender = dataclasses.replace(self.world.sender, provider=self.provider)

    def passes(self, *, hours: float = 0, seconds: float = 0) -> None:
        """Time passes for both."""
        self.clock.advance(hours=hours, seconds=seconds)
        self.real.advance(hours=hours, seconds=seconds)

    def lose_an_answer(self) -> str:
        """The first email is accepted, and its answer is lost; returns the enrollment."""
        run = self.world.sign_up()
        self.provider.faults.append("lost")
        self.world.work()
        assert self.world.states(run)[0] == "sending"
        return run

    def works_on(self) -> None:
        """A while later everything that is due has been looked at."""
        suspects: set[str] = set()
        for _ in range(8):
            self.passes(seconds=20)
            self.world.work()
            suspects, _woken = self.world.ledger.sweep(suspects)


@pytest.fixture
def apart(ledger: Ledger, clock: Clock) -> Apart:
    return Apart(ledger, clock)


@pytest.mark.parametrize("off", [22, 25, 24 * 30])
def test_a_clock_that_stood_still(apart: Apart, off: float) -> None:
    """The machine was off, and begins with the time at which it stopped: what the provider may have forgotten is in
    doubt, and no more."""
    run = apart.lose_an_answer()
    apart.real.advance(hours=off)
    apart.works_on()
    assert apart.world.states(run)[0] == ("sent" if off < 23 else "in-doubt")
    assert apart.provider.twice == []


@pytest.mark.parametrize("wrong", [2, 5, 300, -2, -300])
def test_a_clock_wrong_at_the_post_and_corrected_later(apart: Apart, actions: EnrollmentActions, wrong: float) -> None:
    """Everything waits for a day meanwhile; by Redis's clock that was less, or more."""
    apart.clock.advance(hours=wrong)
    run = apart.lose_an_answer()
    apart.clock.advance(hours=-wrong)
    actions.stop_sending()
    apart.passes(hours=24.1)
    actions.start_sending()
    apart.passes(hours=max(0, wrong))
    apart.works_on()
    assert apart.world.states(run)[0] == "in-doubt"
    assert apart.provider.twice == []


@pytest.mark.parametrize("wrong", [2, -2])
def test_a_clock_that_jumps_before_the_second_email(apart: Apart, actions: EnrollmentActions, wrong: float) -> None:
    """What was heard before the jump does not count for what is posted after it."""
    run = apart.world.sign_up()
    apart.world.work()
    apart.passes(hours=24)
    apart.clock.advance(hours=wrong)
    apart.passes(hours=max(0, -wrong))
    apart.provider.faults.append("lost")
    apart.world.work()
    assert apart.world.states(run)[:2] == ["sent", "sending"]
    apart.clock.advance(hours=-wrong)
    actions.stop_sending()
    apart.passes(hours=24.1)
    actions.start_sending()
    apart.passes(hours=max(0, wrong))
    apart.works_on()
    assert (apart.world.states(run)[1], apart.provider.twice) == ("in-doubt", [])


def test_two_clocks_that_always_differ(apart: Apart) -> None:
    """Redis's clock is wrong by days, and stays so: every outcome is learned as ever."""
    apart.clock.advance(hours=-100)
    run = apart.lose_an_answer()
    apart.works_on()
    assert (apart.world.states(run)[0], apart.provider.requests, apart.provider.twice) == ("sent", [1, 1], [])


@pytest.mark.parametrize("wrong", [2, -2])
@pytest.mark.parametrize("since", [0.25, 6])
def test_a_clock_that_jumps_some_time_after_an_answer(
    apart: Apart, actions: EnrollmentActions, wrong: float, since: float
) -> None:
    """How far apart the clocks were a while ago says nothing about an email that is posted after the jump."""
    apart.world.sign_up(email="bo@example.org")
    apart.world.work()
    apart.passes(hours=since)
    apart.clock.advance(hours=wrong)
    run = apart.lose_an_answer()
    apart.clock.advance(hours=-wrong)
    actions.stop_sending()
    apart.passes(hours=24.1)
    actions.start_sending()
    apart.works_on()
    assert (apart.world.states(run)[0], apart.provider.twice) == ("in-doubt", [])


def test_a_time_heard_before_the_clock_was_set_back_does_not_count(apart: Apart, actions: EnrollmentActions) -> None:
    """The clock was fast by ten hours and is set right before the next email: that one has its window as any other."""
    apart.clock.advance(hours=10)
    apart.world.sign_up(email="bo@example.org")
    apart.world.work()
    apart.clock.advance(hours=-10)
    run = apart.lose_an_answer()
    actions.stop_sending()
    apart.passes(hours=14)
    actions.start_sending()
    apart.works_on()
    assert (apart.world.states(run)[0], apart.provider.twice) == ("sent", [])


@pytest.mark.parametrize(
    ("ago", "restarts", "asks"), [(30, False, False), (31, False, True), (20, True, True), (0, False, False)]
)
def test_a_repetition_relies_only_on_a_recent_provider_time(apart: Apart, ago: int, restarts: bool, asks: bool) -> None:
    """At most half a minute ago, and since Redis was started: else the provider is asked for its time before anything
    is repeated."""
    asked = list[int]()

    def time() -> int:
        asked.append(apart.real.now)
        return apart.real.now

    run = apart.lose_an_answer()
    apart.provider.time = time  # type: ignore[method-assign]  # counted
    apart.passes(seconds=60 - ago)
    apart.world.sign_up(email="bo@example.org")
    if ago:
        apart.world.work()
        apart.passes(seconds=ago)
    if restarts:
        apart.world.redis.hset("eg:heard:resend", "server", "the start before")
    apart.world.work()
    assert (len(asked) == 1, apart.world.states(run)[0], apart.provider.twice) == (asks, "sent", [])


class Silent(MemoryProvider):
    """A provider whose time never arrives: something on the way answers for it."""

    def time(self) -> None:
        """Nothing."""


def test_a_repetition_waits_while_the_providers_time_is_unknown(apart: Apart) -> None:
    """Nothing is repeated on a guess: it is asked each minute, goes as soon as it is known, and is in doubt when the
    window is over."""
    run = apart.lose_an_answer()
    heard, apart.provider = apart.provider, Silent(apart.real)
    apart.world.sender = dataclasses.replace(apart.world.sender, provider=apart.provider)
    apart.works_on()
    assert (apart.world.states(run)[0], apart.provider.requests) == ("sending", [])
    apart.world.sender = dataclasses.replace(apart.world.sender, provider=heard)
    apart.works_on()
    assert (apart.world.states(run)[0], heard.twice) == ("sent", [])


def test_a_look_without_the_providers_time_comes_again_by_itself(apart: Apart) -> None:
    """A minute later, and no sweeper is needed."""
    run = apart.lose_an_answer()
    heard = apart.world.sender
    apart.world.sender = dataclasses.replace(heard, provider=Silent(apart.real))
    apart.passes(seconds=60)
    assert [result.result for result in apart.world.work()] == ["parked"]
    apart.world.sender = heard
    apart.passes(seconds=60)
    apart.world.work()
    assert apart.world.states(run)[0] == "sent"


def test_without_the_providers_time_the_email_ends_in_doubt(apart: Apart) -> None:
    """Then a person decides."""
    run = apart.lose_an_answer()
    apart.world.sender = dataclasses.replace(apart.world.sender, provider=Silent(apart.real))
    apart.world.live(24)
    assert apart.world.states(run)[0] == "in-doubt"


def test_the_time_is_requested_only_if_nothing_else_reveals_it(apart: Apart) -> None:
    """The answers to other emails reveal it too."""
    asked: list[int] = []

    def time() -> int:
        asked.append(apart.real.now)
        return apart.real.now

    apart.provider.time = time  # type: ignore[method-assign]  # counted
    apart.lose_an_answer()
    assert len(asked) == 1
    apart.passes(seconds=60)
    apart.world.sign_up(email="bo@example.org")
    apart.world.work()
    assert len(asked) == 1
    assert apart.provider.requests == [1, 1, 1]


@pytest.mark.parametrize("off", [2, -2])
def test_a_time_heard_just_before_the_post_counts_for_it(apart: Apart, off: float) -> None:
    """The clocks always differ by two hours; no answer says so after the post, and the time from another email's answer
    goes with the request."""
    apart.clock.advance(hours=off)
    apart.world.sign_up(email="bo@example.org")
    apart.world.work()
    apart.passes(seconds=300)
    heard = apart.world.sender
    apart.provider = Silent(apart.real)
    apart.world.sender = dataclasses.replace(heard, provider=apart.provider)
    run = apart.lose_an_answer()
    apart.world.sender = heard
    apart.works_on()
    assert apart.world.states(run)[0] == "sent"


class Mute(MemoryProvider):
    """A provider whose answers have no date, as a stand-in's."""

    asked = 0

    def time(self) -> None:
        """Nothing."""
        self.asked += 1

    def _take(self, emails: list[dict[str, Any]], key: str, *, permissive: bool) -> Accepted:
        return dataclasses.replace(super()._take(emails, key, permissive=permissive), date=None)


def test_an_unavailable_time_is_requested_at_most_once_a_minute(apart: Apart) -> None:
    """Not before each email, if nothing ever reveals it."""
    mute = Mute(apart.real)
    apart.world.sender = dataclasses.replace(apart.world.sender, provider=mute)
    for number in range(4):
        apart.world.sign_up(email=f"person{number}@example.org")
        apart.world.work()
        apart.passes(seconds=25)
    assert (mute.asked, len(mute.accepted)) == (2, 4)


@pytest.mark.parametrize("off", [0, 0.9, -1.1])
def test_a_first_post_at_an_unknown_time_is_not_repeated(apart: Apart, off: float) -> None:
    """Redis's clock may have been set since, so its time now says nothing about then: a person decides."""
    apart.clock.advance(hours=-off)
    heard, apart.provider = apart.provider, Silent(apart.real)
    apart.world.sender = dataclasses.replace(apart.world.sender, provider=apart.provider)
    run = apart.lose_an_answer()
    apart.world.sender = dataclasses.replace(apart.world.sender, provider=heard)
    apart.works_on()
    assert (apart.world.states(run)[0], heard.requests) == ("in-doubt", [])


@pytest.mark.parametrize("seconds", [7_200, 1e7, 1e300])
@pytest.mark.parametrize("kind", ["rate", "wait", "ambiguous"])
def test_a_retry_after_of_any_size_is_capped(world: World, kind: SendFault, seconds: float) -> None:
    """An hour is the longest that an email waits because the provider said so."""
    run = world.sign_up()
    world.provider.faults.append(SendError(kind, "Resend is busy", seconds))
    world.work()
    assert world.run(run).step(1).next == world.clock.now + HOUR
    world.redis.delete("eg:hold:resend")
    world.clock.advance(hours=1)
    world.work()
    assert world.states(run)[0] == "sent"


@pytest.mark.parametrize(("quota", "days"), [("daily_quota_exceeded", 1), ("monthly_quota_exceeded", 31)])
def test_a_quota_resets_by_the_next_day_or_month(world: World, quota: str, days: int) -> None:
    """Nothing waits for years, regardless of what the provider says."""
    run = world.sign_up()
    world.provider.faults.append(SendError("quota", f"Resend answered 429 {quota}", 1e12))
    world.work()
    world.clock.advance(hours=24 * days)
    world.live(1)
    assert world.states(run)[0] == "sent"


@pytest.mark.parametrize("seconds", [None, 1e12])
@pytest.mark.parametrize(("quota", "hours"), [("daily_quota_exceeded", 16), ("monthly_quota_exceeded", 16 + 16 * 24)])
def test_nothing_is_tried_before_a_quota_resets(world: World, quota: str, hours: int, seconds: float | None) -> None:
    """It is the 15th, eight o'clock in UTC: a day's quota is full at midnight, a month's on the first, and then the
    email goes at once."""
    run = world.sign_up()
    world.provider.faults.append(SendError("quota", f"Resend answered 429 {quota}", seconds))
    world.work()
    world.clock.advance(hours=hours, ms=-1)
    world.work()
    assert world.provider.requests == [1]
    world.clock.advance(ms=1)
    world.work()
    assert world.states(run)[0] == "sent"


@pytest.mark.parametrize(
    "changes", [{"resend_api_key": "re_another"}, {"resend_api_url": "https://resend.example.org"}]
)
def test_nothing_is_repeated_with_another_account(world: World, changes: dict[str, str]) -> None:
    """To another key the first request is unknown: it would be an email of its own, so a person decides."""
    run = world.sign_up()
    world.provider.faults.append("lost")
    world.work()
    other = World(world.ledger, world.clock, SETTINGS.model_copy(update=changes))
    other.clock.advance(seconds=60)
    other.work()
    assert other.provider.requests == []
    assert (world.run(run).step(1).state, "key" in str(world.run(run).step(1).why)) == ("in-doubt", True)


def test_a_clock_that_is_set_while_the_first_answer_is_awaited(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was three days ahead at the first post, and is right when the answer was lost: how far it is off then says
    nothing about the post."""
    apart.clock.advance(hours=72)
    asked = apart.provider.time

    def asked_meanwhile() -> int | None:
        if apart.clock.now > apart.real.now:
            apart.clock.advance(hours=-72)
        return asked()

    monkeypatch.setattr(apart.provider, "time", asked_meanwhile)
    apart.lose_an_answer()
    apart.passes(hours=73)
    apart.works_on()
    assert not apart.provider.twice


def test_a_first_post_under_a_wrong_clock_is_not_sent_twice(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis's clock was three days ahead, and the provider did not say what time it is: a clock that was set right does
    not tell that."""
    apart.clock.advance(hours=72)
    with monkeypatch.context() as silent:
        silent.setattr(apart.provider, "time", lambda: None)
        apart.lose_an_answer()
    apart.clock.advance(hours=-72)
    apart.passes(hours=73)
    apart.works_on()
    assert not apart.provider.twice


INFO = "redis.call('INFO', 'server')"
SET_BACK = "'run_id:0123456789abcdef\\r\\nuptime_in_seconds:-3570\\r\\n'"


def test_a_repetition_continues_after_a_clock_is_set_back_past_the_start(
    redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is asked for its time and answers: it was heard since the start, though the clock denies it."""
    monkeypatch.setattr(
        script_runner,
        "sources",
        lambda constants: {name: text.replace(INFO, SET_BACK) for name, text in sources(constants).items()},
    )
    world = World(Ledger(redis, clock=clock, durable=True), clock)
    run = world.sign_up()
    world.provider.faults.append("lost")
    world.work()
    assert world.states(run)[0] == "sending"
    world.clock.advance(seconds=60)
    world.work()
    assert (world.states(run)[0], world.provider.twice) == ("sent", [])
