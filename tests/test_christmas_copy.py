"""The Christmas emails as a person would receive them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.rendering import Brand, Email, compile_template

FOLDER = Path(__file__).parent.parent / "shared" / "campaigns" / "christmas"
FILES = sorted(FOLDER.glob("*.md"))
BRAND = Brand("Northside Systems", "48 Mill Street, Guelph", "#1f6f54")
BOOKING = "https://cal.com/northside/diagnostic"
SMALLEST = {"first_name": "Sam", "assessment_score": 45, "booking_url": BOOKING}
NAMELESS = {"red_systems": 1, "booking_url": BOOKING}
FULL = SMALLEST | {
    "name": "Sam Field",
    "business_name": "Field & Daughters Roofing",
    "red_systems": 3,
    "orange_systems": 2,
    "yellow_systems": 1,
    "green_systems": 2,
    "segment": "CRITICAL",
}

every_template = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
every_reader = pytest.mark.parametrize("values", [SMALLEST, NAMELESS, FULL], ids=["smallest", "nameless", "full"])


def rendered(path: Path, values: dict[str, object]) -> Email:
    """One of the emails, as it is sent."""
    template = compile_template(path.read_text(encoding="utf-8"), name=path.stem, brand=BRAND)
    return template.render(values, unsubscribe_url="https://example.org/unsubscribe?token=x")


def body(email: Email) -> str:
    """The text above the footer."""
    return email.text.split("\n\n--\n")[0]


def test_the_series_is_complete() -> None:
    """Seven emails, and the two that speak differently to an owner in trouble."""
    expected = {f"christmas_email_{number}" for number in range(1, 8)} | {"christmas_email_2_critical", "christmas_email_5_critical"}
    assert {path.stem for path in FILES} == expected


@every_template
@every_reader
def test_each_email_reads_well_with_what_is_known(path: Path, values: dict[str, object]) -> None:
    """Whatever a sign-up left out, nothing is left over, doubled or empty, and the length is one that people read."""
    email = rendered(path, values)
    words = len(body(email).split())
    assert 120 <= words <= 320
    for part in (email.subject, email.preview, email.html, email.text):
        assert not re.search(r"\{\{|\}\}|None|\(\)", part)
    assert not re.search(r"  \w|\w ,|\.\.", body(email))
    assert body(email).startswith(f"Hi {values.get('first_name', 'there')},\n")
    assert body(email).endswith("— the team at Northside Systems")


@every_template
def test_subject_and_preview_fit_an_inbox(path: Path) -> None:
    """Both are shown whole, and the preview adds to the subject."""
    email = rendered(path, FULL)
    assert 10 <= len(email.subject) <= 60
    assert 20 <= len(email.preview) <= 110
    assert email.subject.lower() not in email.preview.lower()


@every_template
def test_each_email_asks_for_one_thing(path: Path) -> None:
    """There is one button, it books the call, and it is the only link above the footer."""
    email = rendered(path, FULL)
    assert email.html.count('class="button"') == 1
    assert re.findall(r'href="([^"]*)"', email.html) == [BOOKING, "https://example.org/unsubscribe?token=x"]
    assert body(email).count("https://") == 1
    assert "diagnostic call" in body(email)


@every_template
def test_the_text_part_says_all_that_the_html_part_says(path: Path) -> None:
    """A reader of plain text misses no sentence, and sees no Markdown."""
    email = rendered(path, FULL)
    text = " ".join(email.text.split())
    for paragraph in re.findall(r"<(?:p|li|a)\b[^>]*>([^<]+)</(?:p|li|a)>", email.html):
        assert paragraph.replace("&amp;", "&").replace("&#39;", "'").strip() in text
    assert not re.search(r"\*\*|\]\(|^#", email.text, re.MULTILINE)
    assert BRAND.postal_address in email.text


def test_no_two_emails_look_alike_in_the_inbox() -> None:
    """Subjects and previews differ, so that no email seems to have come twice."""
    emails = [rendered(path, FULL) for path in FILES]
    assert len({email.subject for email in emails}) == len({email.preview for email in emails}) == len(FILES)


@pytest.mark.parametrize(
    "stem", ["christmas_email_1", "christmas_email_5", "christmas_email_2", "christmas_email_2_critical", "christmas_email_5_critical"]
)
def test_the_emails_about_the_result_use_it(stem: str) -> None:
    """Whoever gave scores sees their own."""
    path = FOLDER / f"{stem}.md"
    assert rendered(path, FULL).text != rendered(path, FULL | {"red_systems": 4, "orange_systems": 1}).text


@every_template
def test_nothing_in_an_email_can_be_out_of_date(path: Path) -> None:
    """An email that is sent late, or next year, names no date and presses nobody."""
    source = path.read_text(encoding="utf-8").lower()
    pressing = r"20\d\d|december|january|tomorrow|yesterday you|last chance|hurry|limited|expires|only \d+ (left|spots)|act now"
    assert not re.search(pressing, source)
