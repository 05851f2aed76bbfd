"""The two emails that ask for a confirmation, held to what the campaigns' emails are held to (test_copy.py)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared.ledger.answers import Asking
from shared.sending.confirmations import written
from tests.emails.test_copy import CATALOG, FULL, rendered
from tests.support.world import SETTINGS

FOUND = SETTINGS.model_copy(update={"business_name": "Northside Systems", "public_url": "https://example.org"})
EMAILS = {
    number: written(Asking("c" * 20, number, 1_800_000_000_000, ()), "ada@example.org", FOUND) for number in (1, 2)
}
every_email = pytest.mark.parametrize("email", EMAILS.values(), ids=["first", "reminder"])


def body_of_text(text: str) -> str:
    """The text above the footer."""
    return text.split("\n\n--\n")[0]


def preview(email: dict[str, Any]) -> str:
    """The line that an inbox shows after the subject."""
    found = re.search(r"<div[^>]*display:\s*none[^>]*>([^<&]+)", email["html"])
    assert found
    return found[1].strip()


@every_email
def test_it_is_short_and_says_what_happens(email: dict[str, Any]) -> None:
    """A greeting, the reason, the button, what follows it, and what happens if it was not you."""
    text = body_of_text(email["text"])
    assert 50 <= len(text.split()) <= 130
    assert text.startswith("Hello,\n\n") and text.endswith("\n\n— the team at Northside Systems")
    for said in (
        "this address was entered in a form",
        "Your first email follows",
        "If it wasn\u2019t you",
        "delete the address",
    ):
        assert said.lower() in text.lower()
    assert not re.search(r"\{\{|\}\}|None|\*\*|\]\(|^#|CONFIRM_URL|  \w|\w [,.;?]", email["text"], re.MULTILINE)


@every_email
def test_subject_and_preview_fit_an_inbox(email: dict[str, Any]) -> None:
    """Both are shown whole, and the preview adds to the subject."""
    assert 10 <= len(email["subject"]) < 60 and 20 <= len(preview(email)) <= 110
    assert email["subject"].lower() not in preview(email).lower()


@every_email
def test_it_asks_for_one_thing(email: dict[str, Any]) -> None:
    """One button and, below, the link that stops; both parts have the same links."""
    assert email["html"].count('class="button"') == 1
    asks, stops = re.findall(r'href="([^"]*)"', email["html"])
    assert asks.startswith("https://example.org/confirm?") and stops.startswith("https://example.org/unsubscribe?")
    assert asks in email["text"] and stops in email["text"]
    assert email["headers"]["List-Unsubscribe"] == f"<{stops}>"


@every_email
def test_the_text_says_everything_that_the_html_says(email: dict[str, Any]) -> None:
    """A reader of plain text misses no sentence."""
    text = " ".join(email["text"].split())
    for paragraph in re.findall(r"<(?:p|li|a)\b[^>]*>([^<]+)</(?:p|li|a)>", email["html"]):
        assert paragraph.replace("&amp;", "&").replace("&#39;", "'").strip() in text


@every_email
def test_the_footer_says_who_writes_and_why(email: dict[str, Any]) -> None:
    """The address of the business, and where this one comes from."""
    for part in (email["text"], email["html"]):
        assert FOUND.postal_address in part and "You are receiving this email because this address was entered" in part


@every_email
def test_it_does_not_go_out_of_date(email: dict[str, Any]) -> None:
    """It may wait for its turn for hours, so it names no day; and it puts no one under pressure."""
    pressing = r"20\d\d|\btomorrow\b|\byesterday\b|\btoday\b|last chance|hurry|limited|expires|act now|urgent"
    assert not re.search(pressing, body_of_text(email["text"]).lower())


def test_no_two_emails_look_alike_in_the_inbox() -> None:
    """Neither each other's nor a campaign's."""
    emails = [rendered(key, FULL) for key in CATALOG.sources]
    subjects = [*(email.subject for email in emails), *(email["subject"] for email in EMAILS.values())]
    previews = [*(email.preview for email in emails), *(preview(email) for email in EMAILS.values())]
    assert len(set(subjects)) == len(set(previews)) == len(emails) + 2
