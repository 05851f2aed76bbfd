"""The demo website in a real browser: what it posts, and what a visitor is shown for each answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local import site
from local.trial import running
from shared.functions import ROOT
from tests import browser, site_server
from tests.site_server import Webhooks
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

ZONE = "America/Toronto"
ANSWERS = ["red", "orange", "yellow", "green", "green", "red", "yellow", "green"]  # one for each system
SCORES = {"assessment_score": 58, "red_systems": 2, "orange_systems": 1, "yellow_systems": 2, "green_systems": 3}
Answer = dict[str, Any]  # what route.fulfill takes
ACCEPTED: Answer = {"status": 202, "json": {"status": "accepted", "message": "Thank you. Your details have arrived."}}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser.launched() as launched:
        yield launched


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[tuple[str, Webhooks]]:
    """The site's URL, and what it posts to."""
    with site_server.serving(tmp_path_factory.mktemp("site")) as serving:
        yield serving


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A visitor on a small phone."""
    context = chromium.new_context(timezone_id=ZONE, viewport={"width": 320, "height": 700})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, served: tuple[str, Webhooks]) -> Page:
    """The visitor's page, on the home page; whatever breaks the content policy or a script fails the test."""
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
    page.on("console", lambda message: pytest.fail(message.text) if "Content Security Policy" in message.text else None)
    page.goto(served[0])
    return page


class Answering:
    """Answers in place of a webhook: each in turn, the last one again and again; None breaks the connection."""

    def __init__(self, page: Page, *answers: Answer | None) -> None:
        self.requests: list[Request] = []
        self._answers = list(answers)
        page.route(re.compile("/webhook/"), self._handle)

    def _handle(self, route: Route) -> None:
        self.requests.append(route.request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        route.abort() if answer is None else route.fulfill(**answer)

    @property
    def keys(self) -> list[str]:
        """The Idempotency-Key of each request."""
        return [request.headers["idempotency-key"] for request in self.requests]

    @property
    def bodies(self) -> list[Any]:
        """What was posted."""
        return [request.post_data_json for request in self.requests]


def fill_newsletter(page: Page, email: str = "ada@example.org") -> None:
    """Fill the newsletter's form, without sending it."""
    page.fill("#newsletter-email", email)
    page.fill("#newsletter-name", "Ada")
    page.get_by_label("Yes, send me the newsletter").check()


def sign_up(page: Page, email: str = "ada@example.org") -> None:
    """Fill the newsletter's form and send it."""
    fill_newsletter(page, email)
    page.click("text=Sign up")


def newsletter_says(page: Page, text: str) -> None:
    """Wait until the newsletter's form says so."""
    page.locator("section", has=page.locator("#newsletter-title")).locator(".evergreen-status", has_text=text).wait_for()


def take_assessment(page: Page) -> None:
    """Answer the eight questions with ANSWERS, and go on to the details."""
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


class TestScript:
    """evergreen.js, on the newsletter's form."""

    def test_what_was_typed_is_posted_with_consent_and_time_zone(self, page: Page) -> None:
        """The JSON holds the webhook's fields and no empty one; consent comes with the words next to its box."""
        answering = Answering(page, ACCEPTED)
        sign_up(page)
        page.locator("#newsletter-done").wait_for()
        [request] = answering.requests
        assert request.headers["content-type"] == "application/json"
        assert re.fullmatch(r"[0-9a-f-]{36}", answering.keys[0])
        assert answering.bodies == [
            {
                "timezone": ZONE,
                "email": "ada@example.org",
                "first_name": "Ada",
                "consent": True,
                "consent_text": "Yes, send me the newsletter of Northside Operations. I can unsubscribe at any time.",
            }
        ]
        assert page.locator("#newsletter-done").evaluate("element => element === document.activeElement")

    def test_the_honeypot_is_posted_but_nobody_meets_it(self, page: Page) -> None:
        """A robot fills it; a person cannot see it, reach it with the keyboard or hear of it."""
        answering = Answering(page, ACCEPTED)
        fax = page.locator("#newsletter-fax")
        assert fax.bounding_box()["x"] < 0  # type: ignore[index]  # an element in the page has a box
        assert page.get_by_role("textbox", name="Fax").count() == 0
        page.focus("#newsletter-name")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == "consent"
        fax.evaluate("field => { field.value = '555' }")
        sign_up(page)
        page.locator("#newsletter-done").wait_for()
        assert answering.bodies[0]["fax_number"] == "555"

    @pytest.mark.parametrize(
        "failure", [{"status": 503}, {"status": 500}, {"status": 429}, None], ids=["503", "500", "429", "no connection"]
    )
    def test_it_tries_again_with_the_same_key(self, page: Page, failure: Answer | None) -> None:
        """What may be over in a moment is repeated, as the same request."""
        answering = Answering(page, failure, failure, ACCEPTED)
        sign_up(page)
        page.locator("#newsletter-done").wait_for()
        assert (len(answering.keys), len(set(answering.keys))) == (3, 1)

    def test_it_waits_as_long_as_it_is_asked(self, page: Page) -> None:
        """Retry-After counts: not a moment earlier."""
        page.clock.install()
        answering = Answering(page, {"status": 429, "headers": {"Retry-After": "7"}}, ACCEPTED)
        sign_up(page)
        newsletter_says(page, "Trying again")
        page.clock.run_for(6900)
        assert len(answering.requests) == 1
        page.clock.run_for(700)
        page.locator("#newsletter-done").wait_for()

    def test_a_wait_that_is_too_long_is_told(self, page: Page) -> None:
        """Nobody looks at a form for an hour: it says when to come back."""
        answering = Answering(page, {"status": 429, "headers": {"Retry-After": "3600"}})
        sign_up(page)
        newsletter_says(page, "try again in 60 minutes")
        assert len(answering.requests) == 1

    def test_it_gives_up_and_keeps_what_was_typed(self, page: Page) -> None:
        """After about half a minute it says so; the next try, also after a reload, is the same request."""
        page.clock.install()
        answering = Answering(page, {"status": 503})
        sign_up(page)
        newsletter_says(page, "Trying again")
        for _ in range(35):
            page.clock.run_for(1000)
        newsletter_says(page, "could not be reached")
        assert 4 <= len(answering.requests) <= 12
        assert page.input_value("#newsletter-email") == "ada@example.org"
        page.reload()
        sign_up(page)
        newsletter_says(page, "Trying again")
        assert len(set(answering.keys)) == 1
        assert "ada@" not in page.evaluate("JSON.stringify(sessionStorage)")

    def test_another_text_and_a_second_time_get_other_keys(self, page: Page) -> None:
        """A corrected form is not taken for the first one, nor is a form that was accepted before."""
        answering = Answering(page, {"status": 400}, ACCEPTED)
        sign_up(page, "typo@example.org")
        newsletter_says(page, "refused")
        sign_up(page)
        page.locator("#newsletter-done").wait_for()
        page.reload()
        sign_up(page)
        page.locator("#newsletter-done").wait_for()
        assert len(set(answering.keys)) == 3

    @pytest.mark.parametrize("status", [400, 401, 404, 413, 415, 422])
    def test_what_is_refused_is_not_repeated(self, page: Page, status: int) -> None:
        """Another try would fail again; the visitor is told at once and can change the form."""
        answering = Answering(page, {"status": status})
        sign_up(page)
        newsletter_says(page, f"refused ({status})")
        assert len(answering.requests) == 1
        assert page.get_by_role("button", name="Sign up").is_enabled()

    def test_faulty_fields_are_marked(self, page: Page) -> None:
        """A 422 stands next to its field, read out with it; what has no field stands below. The next try starts clean."""
        detail = [{"loc": ["email"], "msg": "no", "type": "value_error"}, {"loc": ["first_name"], "msg": "is too long", "type": "x"}]
        Answering(page, {"status": 422, "json": {"detail": [*detail, {"loc": [], "msg": "more than eight", "type": "x"}]}}, ACCEPTED)
        sign_up(page)
        newsletter_says(page, "Please look at the marked fields. more than eight")
        email, name = page.locator("#newsletter-email"), page.locator("#newsletter-name")
        assert email.evaluate("field => field === document.activeElement && field.getAttribute('aria-invalid')") == "true"
        described = "field => document.getElementById(field.getAttribute('aria-describedby')).textContent"
        assert "Please write an address" in email.evaluate(described)
        assert name.evaluate(described) == "is too long"
        page.click("text=Sign up")
        page.locator("#newsletter-done").wait_for()
        assert page.locator(".evergreen-error, [aria-invalid]").count() == 0

    def test_two_clicks_send_once(self, page: Page) -> None:
        """While a form is on its way it cannot be sent again."""
        answering = Answering(page, ACCEPTED)
        fill_newsletter(page)
        page.evaluate("const form = document.querySelector('form'); form.requestSubmit(); form.requestSubmit()")
        page.locator("#newsletter-done").wait_for()
        assert len(answering.requests) == 1

    def test_afterwards_it_can_lead_to_a_page(self, page: Page) -> None:
        """With an address in `data-done`, the visitor goes there."""
        Answering(page, ACCEPTED)
        page.evaluate("document.querySelector('form').dataset.done = '/thank-you'")
        sign_up(page)
        page.wait_for_url("**/thank-you")


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
        assert page.get_by_role("heading", name="Your score: 58 of 100").is_visible()
        page.goto(served[0])
        page.fill("#christmas-email", "ada@example.org")
        page.get_by_label("Yes, send me the seven emails").check()
        page.click("text=Send me the special")
        page.locator("#christmas-done").wait_for()
        assert {name: answering.bodies[1][name] for name in SCORES} == SCORES

    def test_an_unanswered_question_is_asked_for(self, page: Page, served: tuple[str, Webhooks]) -> None:
        """Nobody gets a score from half of the questions."""
        page.goto(f"{served[0]}/assessment")
        page.locator("[data-system] [value=green]").first.check()
        page.click("text=See where I stand")
        assert page.get_by_text("1 of 8 answered").is_visible()
        assert page.locator("#details").is_hidden()

    @pytest.mark.parametrize(
        ("status", "posted"), [("sent", {"email_1_status", "email_1_sent_at"}), ("failed", {"email_1_status"}), ("not said", set())]
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
        assert body.get("email_1_status", "not said") == status

    def test_a_call_is_booked_moved_missed_and_cancelled(self, page: Page, served: tuple[str, Webhooks]) -> None:
        """Each button posts what Cal.com would, about the same call; a reload does not forget it."""
        url, webhooks = served
        webhooks.received.clear()

        def press(button: str, says: str) -> None:
            page.get_by_role("button", name=button, exact=True).click()
            page.get_by_role("status").filter(has_text=says).wait_for()

        page.goto(f"{url}/book")
        page.locator("#book [name=starts_at]").first.check()
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Email", exact=True).fill("ada@example.org")
        press("Book this time", "Your call is booked.")
        page.reload()
        page.locator("#booked [name=starts_at]").nth(1).check()
        press("Move the call", "Your call was moved.")
        press("Mark as no-show", "Marked as no-show.")
        press("Cancel the call", "Your call was cancelled.")
        events = [sent.body["triggerEvent"] for sent in webhooks.received]
        assert events == ["BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_NO_SHOW_UPDATED", "BOOKING_CANCELLED"]
        created, moved, missed, cancelled = (sent.body["payload"] for sent in webhooks.received)
        assert moved["rescheduleUid"] == created["uid"]
        assert missed["bookingUid"] == cancelled["uid"] == moved["uid"]
        assert created["attendees"][0]["timeZone"] == ZONE
        assert page.locator("#book").is_visible()

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
        expected = {"email": "ada@example.org", "starts_at": "2026-12-03T15:00:00.000Z", "event_id": "call-1", "timezone": ZONE}
        assert (sent.name, sent.body) == ("calendly-noshow", expected)


def test_a_real_stack_sends_the_first_email(chromium: Browser, tmp_path: Path) -> None:
    """From the form to the outbox, through everything in between."""
    with running(tmp_path) as run:
        page = chromium.new_page()
        page.goto(run.url)
        page.fill("#christmas-email", "ada@example.org")
        page.get_by_label("Use a sample result").check()
        page.get_by_label("Yes, send me the seven emails").check()
        page.click("text=Send me the special")
        page.locator("#christmas-done").wait_for()
        until(lambda: run.outbox_count() >= 1)
        assert run.outbox()[0]["to"] == ["ada@example.org"]
        page.close()


def test_the_html_of_the_documents_works_as_it_stands(page: Page, served: tuple[str, Webhooks]) -> None:
    """What an owner copies from docs/website.md, with nothing changed but where the script lies, sends both forms to another origin."""
    blocks = re.findall(r"```html\n(.+?)```", (ROOT / "docs" / "website.md").read_text(encoding="utf-8"), re.DOTALL)
    signup, assessment = (re.sub(r'src="/(\w+\.js)"', r'src="/static/\1"', block) for block in blocks)
    answering = Answering(page, {**ACCEPTED, "headers": {"Access-Control-Allow-Origin": "*"}})
    page.route("**/signup.html", lambda route: route.fulfill(body=signup, content_type="text/html"))
    page.route("**/assessment.html", lambda route: route.fulfill(body=assessment, content_type="text/html"))

    def send(button: str) -> None:
        page.get_by_label("Email").fill("ada@example.org")
        page.get_by_label("Yes, send me").check()
        page.click(f"text={button}")

    page.goto(f"{served[0]}/signup.html")
    send("Sign up")
    page.get_by_text("Watch your inbox").wait_for()
    page.goto(f"{served[0]}/assessment.html")
    page.get_by_label("One or two channels").check()
    page.click("text=See where I stand")
    send("Show my result")
    page.wait_for_url("**/your-result")
    assert [request.url for request in answering.requests] == [
        f"https://hooks.example.org/webhook/{name}" for name in ("signup", "assessment")
    ]
    assert answering.bodies[0]["consent_text"] == "Yes, send me the newsletter. I can unsubscribe at any time."
    assert (answering.bodies[1]["assessment_score"], answering.bodies[1]["yellow_systems"]) == (67, 1)
