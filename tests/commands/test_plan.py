"""`evergreen plan`: the real timing and texts, without Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commanding import Commands

AT = ("--at", "2026-12-01T09:00", "--timezone", "Europe/Rome")


@pytest.fixture
def evergreen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    """The command line, with no Redis anywhere."""
    commands = Commands(monkeypatch, tmp_path)
    commands.set(BUSINESS_TIMEZONE="America/Toronto")
    return commands


def test_every_email_with_both_clocks(evergreen: Commands) -> None:
    """Christmas: seven emails at the production delays, by the contact's clock and the business's, and a minute apart
    in testing."""
    plan = evergreen.json("plan", "christmas", *AT)
    assert [email["local"] for email in plan["emails"]] == [
        f"2026-12-{day:02} 09:00" for day in (1, 2, 4, 6, 8, 10, 12)
    ]
    assert plan["emails"][0]["business"] == "2026-12-01 03:00"
    assert [email["testing_due"][11:19] for email in plan["emails"]] == [f"08:0{minute}:00" for minute in range(7)]
    assert plan["emails"][0]["due"] == "2026-12-01T08:00:00.000+00:00"


@pytest.mark.parametrize(
    ("segment", "template"), [("critical", "christmas_email_2_critical"), ("optimize", "christmas_email_2")]
)
def test_the_segment_decides_the_text(evergreen: Commands, segment: str, template: str) -> None:
    """A CRITICAL contact gets a different second email than an OPTIMIZE one."""
    assert evergreen.json("plan", "christmas", "--segment", segment)["emails"][1]["template"] == template


def test_the_text_as_it_would_be_sent(evergreen: Commands) -> None:
    """--text prints it filled in: score, link and footer address; no placeholder is left."""
    evergreen.set(BOOKING_URL="https://cal.com/own/call", POSTAL_ADDRESS="7 Elm Street, Springfield")
    said = evergreen("plan", "christmas", "--score", "12", "--text").output
    assert "Your score out of 100: 12." in said
    assert "https://cal.com/own/call" in said and "7 Elm Street" in said and "{{" not in said


def test_reminders_count_from_the_meeting(evergreen: Commands) -> None:
    """A day and an hour before it, and the text names it by the booker's clock."""
    emails = evergreen.json("plan", "booking-reminder", "--at", "2099-12-03T10:00", "--timezone", "America/Vancouver")[
        "emails"
    ]
    assert [email["local"] for email in emails] == ["2099-12-02 10:00", "2099-12-03 09:00"]
    assert "10:00 AM PST" in emails[0]["subject"]


def test_an_email_that_the_website_sends_is_marked(evergreen: Commands) -> None:
    """Five Days begins with an email that the website sends."""
    assert evergreen.json("plan", "five-day")["emails"][0]["note"] == "the website sends it"


def test_daylight_saving_moves_the_clock_not_the_gap(evergreen: Commands) -> None:
    """Across the night on which the clocks go forward, 24 hours are 24 hours: it is 10 o'clock there."""
    emails = evergreen.json("plan", "christmas", "--at", "2027-03-27T09:00", "--timezone", "Europe/Rome")["emails"]
    assert [email["local"][11:] for email in emails[:2]] == ["09:00", "10:00"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["easter"], "there is no campaign 'easter'; choose one of booking-reminder"),
        (["christmas", "--timezone", "Mars/Base"], "not a valid time zone"),
        (["christmas", "--at", "soon"], "write it like 2026-12-01T09:30"),
    ],
)
def test_invalid_arguments(evergreen: Commands, arguments: list[str], sentence: str) -> None:
    """One sentence with the fix, and an exit status."""
    result = evergreen("plan", *arguments)
    assert result.exit_code == 2 and sentence in result.output
