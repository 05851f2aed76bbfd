"""The emails of every campaign as a person would receive them, and the campaigns as they were agreed."""

from __future__ import annotations

import re

import pytest

from shared.domain.campaign_files import CAMPAIGNS, load
from shared.domain.segments import SEGMENTS
from shared.emails.page import Brand
from shared.emails.rendering import Email, compile_template

CATALOG = load()
MARKETING = {slug for slug, campaign in CATALOG.campaigns.items() if campaign.kind == "marketing"}
NURTURE = {"christmas", "five-day", "busos"}
BRAND = Brand("Northside Systems", "48 Mill Street, Guelph", "#1f6f54")
BOOKING = "https://cal.com/northside/diagnostic"
RESCHEDULE = "https://cal.com/reschedule/d7mQ2xKp9"
UNSUBSCRIBE = "https://example.org/unsubscribe?token=x"
SMALLEST: dict[str, object] = {"booking_url": BOOKING, "reschedule_url": RESCHEDULE}
SCORED = SMALLEST | {"first_name": "Sam", "assessment_score": 0, "red_systems": 0}
FULL = SMALLEST | {
    "first_name": "Maximiliana",
    "name": "Maximiliana Field",
    "business_name": "Field & Daughters Roofing",
    "assessment_score": 45,
    "red_systems": 3,
    "orange_systems": 2,
    "yellow_systems": 1,
    "green_systems": 2,
    "segment": "CRITICAL",
    "meeting_title": "Diagnostic call between Northside Systems and Maximiliana Field",
    "meeting_day": "Wednesday, September 30",
    "meeting_time": "10:00 AM GMT+5:30",
    "meeting_place": "https://app.cal.com/video/d7mQ2xKp9",
    "package": "Three-Month Repair",
}
# What was agreed: hours from the anchor to each step; for reminders, hours before the meeting.
DELAYS: dict[str, list[float]] = {
    "christmas": [0, 24, 72, 120, 168, 216, 264],
    "five-day": [0, 24, 48, 72, 96],
    "busos": [0, 24, 72, 96, 144],
    "noshow-recovery": [0.25, 24, 72],
    "postcall-maybe": [1, 72, 168],
    "onboarding": [0, 24, 72],
    "booking-reminder": [-24, -1],
}
# Slug: name in Notion, trigger, kind, group, reentry.
TERMS = {
    "christmas": ("Christmas 2025", "christmas-signup", "marketing", "nurture", "never"),
    "five-day": ("Five Days", "christmas-assessment", "marketing", "nurture", "never"),
    "busos": ("BusinessX Canada", "assessment", "marketing", "nurture", "never"),
    "noshow-recovery": ("No-Show Recovery", "calendly-noshow", "marketing", None, "per-event"),
    "postcall-maybe": ("Post-Call Maybe", "postcall-maybe", "marketing", None, "when-finished"),
    "onboarding": ("Onboarding", "onboarding-start", "transactional", None, "when-finished"),
    "booking-reminder": ("Booking Reminder", "calcom-booking", "transactional", None, "per-event"),
}

Key = tuple[str, str]
every_template = pytest.mark.parametrize(
    "key", list(CATALOG.sources), ids=[template for _, template in CATALOG.sources]
)
every_reader = pytest.mark.parametrize("values", [SMALLEST, SCORED, FULL], ids=["smallest", "scored", "full"])
every_reminder = pytest.mark.parametrize(
    "key", [key for key in CATALOG.sources if key[0] == "booking-reminder"], ids=lambda key: key[1]
)


def rendered(key: Key, values: dict[str, object]) -> Email:
    """One of the emails, as it is sent."""
    template = compile_template(CATALOG.sources[key], name=key[1], brand=BRAND, reason=CATALOG.campaigns[key[0]].reason)
    return template.render(values, unsubscribe_url=UNSUBSCRIBE if key[0] in MARKETING else None)


def body(email: Email) -> str:
    """The text above the footer."""
    return email.text.split("\n\n--\n")[0]


def test_the_delays_are_as_agreed() -> None:
    """Each campaign of the release, its number of emails and when each one is due."""
    hours = {
        slug: [step.delay.milliseconds / 3_600_000 for step in campaign.steps]
        for slug, campaign in CATALOG.campaigns.items()
    }
    assert hours == DELAYS


def test_the_terms_are_as_agreed() -> None:
    """What Notion calls each campaign, what enrolls, and whether one can be in it twice."""
    terms = {slug: (one.name, one.trigger, one.kind, one.group, one.reentry) for slug, one in CATALOG.campaigns.items()}
    assert terms == TERMS


def test_who_needs_an_assessment_and_who_sends_the_first_email() -> None:
    """Two campaigns want an assessment; the website sends one first email itself, and another where it says so."""
    assert {slug for slug, campaign in CATALOG.campaigns.items() if campaign.requires} == {"christmas", "busos"}
    others = {
        (slug, step.number): step.sent_by
        for slug, campaign in CATALOG.campaigns.items()
        for step in campaign.steps
        if step.sent_by != "evergreen"
    }
    assert others == {("christmas", 1): "website-if-reported", ("five-day", 1): "website"}


def test_marketing_ends_for_bookers_and_clients() -> None:
    """People who have booked or become a client get no more marketing; what a client or a booker needs continues."""
    for campaign in CATALOG.campaigns.values():
        assert {"bounced", "complained"} <= set(campaign.exit_on)
        assert ({"booked", "client", "unsubscribed"} <= set(campaign.exit_on)) == (campaign.kind == "marketing")


def test_the_segments_get_their_own_emails() -> None:
    """Nine templates of the second campaign: a for the most urgent, b, and c for those in good shape."""
    busos = CATALOG.campaigns["busos"]
    sent = [[step.template_for(segment).removeprefix("busos_email_") for step in busos.steps] for segment in SEGMENTS]
    assert sent == [["1", "2a", "3", "4", "5a"], ["1", "2b", "3", "4", "5b"], ["1", "2c", "3", "4", "5c"]]


def test_no_text_is_unused() -> None:
    """Each Markdown file is an email that a contact can get."""
    assert {(file.parent.name, file.stem) for file in CAMPAIGNS.glob("*/*.md")} == set(CATALOG.sources)


@every_template
@every_reader
def test_each_email_reads_well_with_any_data_missing(key: Key, values: dict[str, object]) -> None:
    """With any data missing, nothing is left over, doubled or empty, and the length is one that people read."""
    email = rendered(key, values)
    assert (120 if key[0] in NURTURE else 50) <= len(body(email).split()) <= 320
    for part in (email.subject, email.preview, email.html, email.text):
        assert not re.search(r"\{\{|\}\}|None|\(\)|slot[0-9a-f]{16}", part)
    assert "<strong></strong>" not in email.html
    for part in (email.subject, email.preview, body(email)):
        assert not re.search(r"  \w|\w [,.;?]|\.\.|,,|\( | \)", part)
    assert body(email).startswith(f"Hi {values.get('first_name', 'there')},\n\n")
    assert body(email).endswith("\n\n— the team at Northside Systems")


@every_template
@every_reader
def test_subject_and_preview_fit_an_inbox(key: Key, values: dict[str, object]) -> None:
    """Both are shown whole, and the preview adds to the subject."""
    email = rendered(key, values)
    assert 10 <= len(email.subject) < 60
    assert 20 <= len(email.preview) <= 110
    assert email.subject.lower() not in email.preview.lower()


@every_template
def test_each_email_asks_for_one_thing(key: Key) -> None:
    """There is one button, it leads to the booking page or to the meeting, and it is the only link above the footer."""
    email = rendered(key, FULL)
    target = RESCHEDULE if key[0] == "booking-reminder" else BOOKING
    assert email.html.count('class="button"') == 1
    assert re.findall(r'href="([^"]*)"', email.html) == [target, *([UNSUBSCRIBE] if key[0] in MARKETING else [])]
    assert body(email).replace(str(FULL["meeting_place"]), "").count("://") == 1
    assert "diagnostic call" in body(email) or key[0] not in NURTURE


@every_template
def test_the_text_part_says_everything_the_html_part_says(key: Key) -> None:
    """A reader of plain text misses no sentence, and sees no Markdown."""
    email = rendered(key, FULL)
    text = " ".join(email.text.split())
    for paragraph in re.findall(r"<(?:p|li|a)\b[^>]*>([^<]+)</(?:p|li|a)>", email.html):
        assert paragraph.replace("&amp;", "&").replace("&#39;", "'").strip() in text
    assert not re.search(r"\*\*|\]\(|^#", email.text, re.MULTILINE)


@every_template
def test_the_footer_says_who_writes_and_why(key: Key) -> None:
    """Both parts carry the address and the campaign's own reason; marketing has an unsubscribe link, a reminder does
    not."""
    email = rendered(key, FULL)
    reason = CATALOG.campaigns[key[0]].reason
    assert reason and reason.startswith("You are receiving this email because ")
    for part in (email.text, email.html):
        assert BRAND.postal_address in part and reason in part
        assert ("Unsubscribe" in part) == (key[0] in MARKETING)


def test_no_two_emails_look_alike_in_the_inbox() -> None:
    """Subjects and previews differ over all campaigns, so that no email seems to have come twice."""
    emails = [rendered(key, FULL) for key in CATALOG.sources]
    assert len({email.subject for email in emails}) == len({email.preview for email in emails}) == len(emails)


@pytest.mark.parametrize(
    "key",
    [("christmas", f"christmas_email_{which}") for which in ("1", "2", "2_critical", "5", "5_critical")]
    + [("busos", f"busos_email_{which}") for which in ("1", "2a", "2b", "5a")]
    + [("five-day", "five_day_email_1")],
    ids=lambda key: key[1],
)
def test_the_emails_about_the_result_use_it(key: Key) -> None:
    """People who gave scores see their own."""
    assert rendered(key, FULL).text != rendered(key, FULL | {"red_systems": 4, "orange_systems": 1}).text


@every_reminder
def test_a_reminder_gives_the_day_the_time_and_the_zone(key: Key) -> None:
    """All of it is in the subject and in the text, with title and place: "tomorrow" would be wrong once it is read
    later."""
    email = rendered(key, FULL)
    for known in ("meeting_day", "meeting_time"):
        assert str(FULL[known]) in email.subject
    for known in ("meeting_title", "meeting_day", "meeting_time", "meeting_place"):
        assert str(FULL[known]) in body(email)


@every_template
def test_no_email_goes_out_of_date(key: Key) -> None:
    """An email that is sent late, or next year, names no date and puts no one under pressure; only Christmas names a
    time of the year."""
    source = CATALOG.sources[key].lower()
    pressing = (
        r"20\d\d|december|january|\btomorrow\b|yesterday you|last chance|hurry|limited|expires"
        r"|only \d+ (left|spots)|act now"
    )
    assert not re.search(pressing, source)
    if key[0] != "christmas":
        assert not re.search(r"christmas|holiday|time of year|new year|this (spring|summer|fall|winter)", source)


@every_template
def test_an_email_needs_only_an_address(key: Key) -> None:
    """Every placeholder has a default, except the two links and the name, which are always known."""
    without = set(re.findall(r"\{\{ (\w+) \}\}", CATALOG.sources[key]))
    assert without <= {"booking_url", "sender_name", "reschedule_url"}
