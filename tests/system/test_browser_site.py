"""The demo website in a real browser: the way from a form, the assessment or the booking page to what is posted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import site
from local.trial import running
from shared.integrations import calcom as reader
from tests.support.site_server import Webhooks
from tests.support.site_visitor import ACCEPTED, ZONE, Answering
from tests.support.site_ways import press
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ANSWERS = ["red", "orange", "yellow", "green", "green", "red", "yellow", "green"]  # one for each system
SCORES = {"assessment_score": 58, "red_systems": 2, "orange_systems": 1, "yellow_systems": 2, "green_systems": 3}


def take_assessment(page: Page) -> None:
    """Answer the eight questions with ANSWERS, and continue to the details."""
    for system, color in zip(page.locator("[data-system]").all(), ANSWERS, strict=True):
        system.locator(f"[value={color}]").check()
    page.click("text=See where I stand")


def fill_details(page: Page) -> None:
    """Fill the form after the questions, and send it."""
    page.get_by_label("Your name").fill("Ada Lovelace")
    page.get_by_label("Business").fill("Analytical Engines")
    page.get_by_label("Email", exact=True).fill("ada@example.org")
    page.get_by_label("Yes, send me my result").check()
    page.click("text=Show my result")


class TestPages:
    """The funnel."""

    @pytest.mark.parametrize("path", site.PAGES)
    def test_a_page_fits_a_small_phone(self, page: Page, served: tuple[str, Webhooks], path: str) -> None:
        """Nothing is wider than 320 px."""
        page.goto(served[0] + path)
        assert page.evaluate("document.documentElement.scrollWidth") == 320

    def test_without_javascript_it_says_so(self, chromium: Browser, served: tuple[str, Webhooks]) -> None:
        """The forms cannot be sent, and the page says why."""
        context = chromium.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(served[0])
        assert page.locator("noscript .notice").is_visible()
        assert page.get_by_role("button", name="Sign up").is_disabled()
        context.close()

    @pytest.mark.parametrize(("choice", "scores"), [("I have not taken it", False), ("Use a sample result", True)])
    def test_the_christmas_special_with_and_without_scores(self, page: Page, choice: str, scores: bool) -> None:
        """Scores go along where they are chosen; the choice itself does not."""
        answering = Answering(page, ACCEPTED)
        page.fill("#christmas-email", "ada@example.org")
        page.get_by_label(choice).check()
        page.get_by_label("Yes, send me the seven emails").check()
        page.click("text=Send me the special")
        page.locator("#christmas-done").wait_for()
        [body] = answering.bodies
        assert ("assessment_score" in body, "red_systems" in body, "result_from" in body) == (scores, scores, False)
        assert answering.requests[0].url.endswith("/webhook/christmas-signup")

    def test_the_assessment_is_scored_in_the_browser(self, page: Page, served: tuple[str, Webhooks]) -> None:
        """Eight answers become five numbers and eight colors; the result can go along with the Christmas special."""
        answering = Answering(page, ACCEPTED)
        page.goto(f"{served[0]}/assessment")
        take_assessment(page)
        fill_details(page)
        page.locator("#result").wait_for()
        [body] = answering.bodies
        assert answering.requests[0].url.endswith("/webhook/assessment")
        assert {name: body[name] for name in SCORES} == SCORES
        assert set(body) == {*SCORES, "timezone", "email", "name", "business_name", "consent", "consent_text"}
        assert page.locator("#colors li").evaluate_all("rows => rows.map((row) => row.className)") == ANSWERS
        assert page.get_by_role("heading", name="Your score: 58 out of 100").is_visible()
        page.goto(served[0])
        page.fill("#christmas-email", "ada@example.org")
        page.get_by_label("Yes, send me the seven emails").check()
        page.click("text=Send me the special")
        page.locator("#christmas-done").wait_for()
        assert {name: answering.bodies[1][name] for name in SCORES} == SCORES

    def test_an_incomplete_assessment_does_not_continue(self, page: Page, served: tuple[str, Webhooks]) -> None:
        """Without all eight answers there is no score."""
        page.goto(f"{served[0]}/assessment")
        page.locator("[data-system] [value=green]").first.check()
        page.click("text=See where I stand")
        assert page.get_by_text("1 of 8 answered").is_visible()
        assert page.locator("#details").is_hidden()

    @pytest.mark.parametrize(
        ("status", "posted"),
        [("sent", {"email_1_status", "email_1_sent_at"}), ("failed", {"email_1_status"}), ("not reported", set())],
    )
    def test_the_christmas_assessment_reports_the_sites_own_email(
        self, page: Page, served: tuple[str, Webhooks], status: str, posted: set[str]
    ) -> None:
        """Its status, and its time only where it was sent."""
        answering = Answering(page, ACCEPTED)
        page.goto(f"{served[0]}/christmas")
        take_assessment(page)
        page.get_by_label("own email").select_option(status)
        fill_details(page)
        page.locator("#result").wait_for()
        [body] = answering.bodies
        assert answering.requests[0].url.endswith("/webhook/christmas-assessment")
        assert {name for name in body if name.startswith("email_1")} == posted
        assert body.get("email_1_status", "not reported") == status

    def test_a_call_is_booked_moved_missed_and_cancelled(self, page: Page, served: tuple[str, Webhooks]) -> None:
        """Each button posts what Cal.com would, about the same call; a reload does not forget it."""
        url, webhooks = served
        webhooks.received.clear()
        page.goto(f"{url}/book")
        page.locator("#book [name=starts_at]").first.check()
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Email", exact=True).fill("ada@example.org")
        press(page, "Book this time", "Your call is booked.")
        page.reload()
        page.locator("#booked [name=starts_at]").nth(1).check()
        press(page, "Move the call", "Your call was moved.")
        press(page, "Mark as no-show", "Marked as no-show.")
        press(page, "Cancel the call", "Your call was canceled.")
        events = [sent.body["triggerEvent"] for sent in webhooks.received]
        assert events == ["BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_NO_SHOW_UPDATED", "BOOKING_CANCELLED"]
        created, moved, missed, cancelled = (sent.body["payload"] for sent in webhooks.received)
        assert moved["rescheduleUid"] == created["uid"]
        assert missed["bookingUid"] == cancelled["uid"] == moved["uid"]
        assert created["attendees"][0]["timeZone"] == ZONE
        assert page.locator("#book").is_visible()

    def test_two_people_share_a_slot_and_a_series_ends_at_once(self, page: Page, served: tuple[str, Webhooks]) -> None:
        """The tab remembers several bookings, and each button is about the one that is shown."""
        url, webhooks = served
        webhooks.received.clear()

        def booked(name: str, kind: str) -> None:
            page.get_by_label("What would you like to book?").select_option(kind)
            page.locator("#book [name=starts_at]").first.check()
            page.get_by_label("Your name").fill(name)
            page.get_by_label("Email", exact=True).fill(f"{name.lower()}@example.org")
            press(page, "Book this time", "Your call is booked.")

        page.goto(f"{url}/book")
        booked("Ada", "workshop")
        page.get_by_role("button", name="Book another call").click()
        booked("Bob", "workshop")
        page.get_by_role("button", name="for Ada").click()
        press(page, "Give the seat back", "Your call was canceled.")
        assert page.locator("#others").get_by_role("button").count() == 1, "Bob's"
        booked("Cy", "coaching")
        press(page, "Cancel all remaining", "All dates were canceled.")
        page.reload()
        page.locator("#booked [name=starts_at]").nth(1).check()
        press(page, "Move the call", "Your call was moved.")
        read = [reader.events(sent.data, 0).events[0] for sent in webhooks.received]
        assert [(event.what, event.contact["email"].partition("@")[0]) for event in read] == [
            ("booked", "ada"),
            ("booked", "bob"),
            ("cancelled", "ada"),
            *[("booked", "cy")] * 3,
            ("cancelled", "cy"),
            ("booked", "bob"),
        ]
        assert read[0].uid == read[1].uid == read[2].uid == read[7].replaces
        assert len(read[6].dates) == 3

    def test_the_operators_forms(self, page: Page, served: tuple[str, Webhooks]) -> None:
        """A local time is posted with its zone, and the form can be used again."""
        url, webhooks = served
        webhooks.received.clear()
        page.goto(f"{url}/operator")
        page.fill("#noshow-email", "ada@example.org")
        page.fill("#noshow-starts", "2026-12-03T10:00")
        page.fill("#noshow-event", "call-1")
        page.click("text=Start the recovery")
        page.get_by_text("Your details have arrived").wait_for()
        [sent] = webhooks.received
        expected = {
            "email": "ada@example.org",
            "starts_at": "2026-12-03T15:00:00.000Z",
            "event_id": "call-1",
            "timezone": ZONE,
        }
        assert (sent.name, sent.body) == ("calendly-noshow", expected)


def test_a_real_stack_answers_the_forms_with_emails(chromium: Browser, tmp_path: Path) -> None:
    """From the form, the booking page and the operator's page to the outbox, through everything in between."""
    with running(tmp_path, TESTING_STEP="2s") as run:
        page = chromium.new_page()
        page.goto(run.url)
        page.fill("#christmas-email", "ada@example.org")
        page.get_by_label("Use a sample result").check()
        page.get_by_label("Yes, send me the seven emails").check()
        page.click("text=Send me the special")
        page.locator("#christmas-done").wait_for()
        page.goto(f"{run.url}/book")
        page.fill("#book-name", "Grace")
        page.fill("#book-email", "grace@example.org")
        page.locator("#book").get_by_label("Demo: in 6 seconds").check()
        page.click("text=Book this time")
        page.get_by_text("Your call is booked.").wait_for()
        page.goto(f"{run.url}/operator")
        page.fill("#onboarding-email", "edsger@example.org")
        page.click("text=Start onboarding")
        page.get_by_text("Your details have arrived").wait_for()
        everybody = {f"{name}@example.org" for name in ("ada", "grace", "edsger")}
        until(lambda: {to for email in run.outbox() for to in email["to"]} == everybody)
        page.close()
