"""`evergreen simulate`: the real timing and late policy against a provider's rate and quota."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.core.settings import Settings
from shared.domain import campaign_files, timing
from shared.domain.segments import SEGMENTS
from shared.domain.send_window import SendWindow
from shared.preview.simulation import simulate
from shared.preview.simulation_types import Conditions, Outcome
from tests.support.commanding import Commands
from tests.support.world import World

MIDNIGHT = 1_800_057_600_000  # 2027-01-16 00:00 UTC
ONE = Conditions(["christmas"], contacts=1, begins=MIDNIGHT, over=1)
CATALOG = campaign_files.load()


def run(base: Conditions = ONE, **changes: Any) -> Outcome:
    """Simulate."""
    return simulate(CATALOG, Settings(), replace(base, **changes))


def test_one_contact_gets_what_the_plan_says() -> None:
    """Seven emails at the campaign's delays, none late."""
    outcome = run()
    assert [(hour * timing.HOUR - MIDNIGHT) // timing.HOUR for hour in sorted(outcome.hours)] == [
        0,
        24,
        72,
        120,
        168,
        216,
        264,
    ]
    assert (outcome.late, outcome.shifted, outcome.unsent, sum(outcome.templates.values())) == (0, 0, 0, 7)


def test_the_same_seed_draws_the_same_people() -> None:
    """And another seed draws others."""
    assert run(contacts=50, over=timing.DAY) == run(contacts=50, over=timing.DAY)
    assert run(contacts=50, over=timing.DAY).hours != run(contacts=50, over=timing.DAY, seed=2).hours


def test_everyone_gets_every_email() -> None:
    """Regardless of the quota, nothing is lost; the days that held email back are named, and never hold more than the
    quota."""
    outcome = run(contacts=40, over=timing.DAY, daily_quota=20)
    assert (outcome.sent, outcome.unsent) == (280, 0)
    assert max(outcome.days.values()) == 20 and outcome.full_days
    assert all(outcome.days[day] == 20 for day in outcome.full_days)


def test_a_quota_delays_emails_and_an_upgrade_fixes_it() -> None:
    """Forty at once and twenty a day: the last of the first emails waits a day, and the late policy moves its run."""
    outcome = run(contacts=40, daily_quota=20)
    assert outcome.latest >= timing.DAY and outcome.shifted > 0
    assert run(contacts=40, daily_quota=0).full_days == set()


def test_a_short_outage_moves_no_run() -> None:
    """Six hours are within the campaign's twelve: the email is late, and the dates that follow stay."""
    outcome = run(outages=[(MIDNIGHT, MIDNIGHT + 6 * timing.HOUR)])
    assert (outcome.latest, outcome.shifted, outcome.late) == (6 * timing.HOUR, 0, 1)
    assert min(outcome.hours) * timing.HOUR == MIDNIGHT + 6 * timing.HOUR


def test_a_long_outage_moves_the_run() -> None:
    """Thirteen hours are past it: the anchor moves, so that every later email keeps its distance."""
    outcome = run(outages=[(MIDNIGHT, MIDNIGHT + 13 * timing.HOUR)])
    assert (outcome.shifted, outcome.late, outcome.furthest) == (1, 1, 13 * timing.HOUR)
    assert max(outcome.hours) * timing.HOUR == MIDNIGHT + (13 + 264) * timing.HOUR


@pytest.mark.parametrize("away", [0, 6, 13, 30])
def test_the_ledger_does_the_same(world: World, away: int) -> None:
    """The real ledger, run manually with an outage of this many hours, sends each email in the same hour as the
    simulation."""
    began = world.clock.now
    enrollment = world.sign_up()
    world.clock.advance(hours=away)
    world.work()
    world.live(300)
    sent = [(step.sent_at or 0) - began for step in world.run(enrollment).steps]
    outcome = run(begins=began, outages=[(began, began + away * timing.HOUR)] if away else [])
    assert [at // timing.HOUR for at in sent] == [hour - began // timing.HOUR for hour in sorted(outcome.hours)]


def test_a_late_reminder_is_left_out() -> None:
    """Reminders have the policy skip: during an outage of three weeks all are left out."""
    outcome = run(slugs=["booking-reminder"], contacts=10, outages=[(MIDNIGHT, MIDNIGHT + 21 * timing.DAY)])
    assert outcome.sent == 0 and 10 <= outcome.skipped <= 20


def test_many_at_once_go_as_batches() -> None:
    """A thousand at one instant take ten requests for each round of emails, not a thousand; all are out within
    seconds."""
    outcome = run(contacts=1000, over=1)
    assert sum(outcome.requests.values()) == 70
    assert outcome.latest < 10_000


def test_the_rate_is_kept() -> None:
    """One request a second, singly: the tenth goes nine turns after the first."""
    settings = Settings(resend_batch_above=1000)
    outcome = simulate(CATALOG, settings, replace(ONE, contacts=10, rate=1))
    assert outcome.latest == pytest.approx(9 * 1015, abs=20)


def test_the_clock_stops() -> None:
    """At --to, what was not sent is counted."""
    outcome = run(contacts=3, to=MIDNIGHT + 2 * timing.DAY)
    assert (outcome.sent, outcome.unsent) == (6, 15)


def test_a_window_is_kept(tmp_path: Path) -> None:
    """A campaign that sends on weekday mornings only does so here, too: nothing on Saturday, January 16, 2027."""
    christmas = CATALOG.campaigns["christmas"]
    window = SendWindow.model_validate({"days": "mon-fri", "from": "09:00", "to": "12:00"})
    morning = christmas.model_copy(update={"window": window})
    own = replace(CATALOG, campaigns={**CATALOG.campaigns, "christmas": morning})
    outcome = simulate(own, Settings(), replace(ONE, contacts=30, over=7 * timing.DAY))
    assert outcome.sent == 210
    assert {hour % 24 for hour in outcome.hours} <= {9, 10, 11}
    assert {(day + 3) % 7 for day in outcome.days} <= set(range(5))


@pytest.fixture
def evergreen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    """The command line, with no Redis anywhere."""
    return Commands(monkeypatch, tmp_path)


class TestCommand:
    """What is printed."""

    def test_a_chart_and_the_upgrade(self, evergreen: Commands) -> None:
        """Bars, the exhausted days, and what a plan without a daily quota would change."""
        said = evergreen(
            "simulate", "--contacts", "60", "--over", "1d", "--from", "2026-12-01", "--daily-quota", "30"
        ).output
        assert "█" in said and "2026-12-01" in said
        assert "Without a daily quota" in said and "A plan without a daily quota" in said

    def test_json(self, evergreen: Commands) -> None:
        """All figures, for both plans; every segment is drawn."""
        said = evergreen.json("simulate", "--contacts", "60", "--over", "1d", "--daily-quota", "30", "--mix")
        assert said["as_it_is"]["quota_exhausted"] and not said["without_daily_quota"]["quota_exhausted"]
        assert set(said["as_it_is"]["segments"]) == set(SEGMENTS)

    @pytest.mark.parametrize("outage", ["2h..15h", "2026-12-01T02:00..2026-12-01T15:00"])
    def test_an_outage_in_both_forms(self, evergreen: Commands, outage: str) -> None:
        """As times, and as durations from the start."""
        arguments = [
            "--contacts",
            "20",
            "--over",
            "3h",
            "--from",
            "2026-12-01",
            "--outage",
            outage,
            "--daily-quota",
            "0",
        ]
        assert 43200 <= evergreen.json("simulate", *arguments)["as_it_is"]["latest_seconds"] <= 46800

    @pytest.mark.parametrize("wrong", ["soon", "5h..2h", "..", "2h"])
    def test_an_invalid_outage(self, evergreen: Commands, wrong: str) -> None:
        """It is refused in a sentence."""
        assert evergreen("simulate", "--outage", wrong).exit_code == 2
