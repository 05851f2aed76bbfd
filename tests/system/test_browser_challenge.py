"""A form's challenge in a real browser: solved in the background, and never in a visitor's way."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from shared.core.stack_file import ROOT
from shared.web import challenge
from tests.support import site_server
from tests.support.site_server import Webhooks
from tests.support.site_visitor import visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

KEY = "key of a browser's test, long enough"
Prepare = Callable[["Page"], Any]


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[tuple[str, Webhooks]]:
    """The demo site of a stack with a key, and what it posts to."""
    with site_server.serving(tmp_path_factory.mktemp("asking"), KEY) as serving:
        yield serving


@pytest.fixture
def webhooks(asking: tuple[str, Webhooks]) -> Webhooks:
    """What the site posts to, with nothing received."""
    asking[1].received.clear()
    asking[1].asked, asking[1].refuse_with, asking[1].challenge_key = 0, None, KEY
    return asking[1]


@pytest.fixture
def page(chromium: Browser, asking: tuple[str, Webhooks], webhooks: Webhooks) -> Iterator[Page]:
    """A visitor on the home page; anything that breaks the content policy fails the test."""
    with visiting(chromium, asking[0]) as page:
        yield page


def fill(page: Page, name: str = "Ada") -> None:
    """Fill the newsletter's form."""
    page.fill("#newsletter-email", "ada@example.org")
    page.fill("#newsletter-name", name)
    page.get_by_label("Yes, send me the Northside Operations newsletter").check()


def send(page: Page) -> None:
    """Send it, and wait until it is accepted."""
    page.get_by_role("button", name="Sign up").click()
    page.locator("#newsletter-done").wait_for()


def solved(webhooks: Webhooks, number: int = -1) -> challenge.Solved | None:
    """What a posted form's challenge is worth."""
    return challenge.verified(webhooks.received[number].body.get("altcha"), KEY, round(time.time() * 1000))


class TestSolving:
    """A form with `data-challenge`."""

    def test_it_is_posted_with_a_solution(self, page: Page, webhooks: Webhooks) -> None:
        """One that counts, among the form's fields; nothing of the widget is left in the page."""
        fill(page)
        send(page)
        [form] = webhooks.received
        assert solved(webhooks)
        assert (form.body["email"], form.body["consent"]) == ("ada@example.org", True)
        assert "Yes, send me" in form.body["consent_text"]
        assert page.locator("altcha-widget").count() == 0

    def test_a_keyboard_and_no_further_click_are_enough(self, page: Page, webhooks: Webhooks) -> None:
        """While it works, the visitor sees and hears "Sending…", and there is nothing else to see, reach or press."""
        webhooks.challenge_key = ""  # so that asking takes as long as the route below wants
        asked: list[Route] = []
        page.route(re.compile("/webhook/"), lambda route: asked.append(route))
        fill(page)
        buttons = page.get_by_role("button").count() + page.get_by_role("checkbox").count()
        page.focus("#newsletter-name")
        page.keyboard.press("Enter")
        page.get_by_role("status").filter(has_text="Sending…").wait_for()
        page.locator("altcha-widget [data-state=verifying]").wait_for(state="attached")
        assert page.locator("altcha-widget *").evaluate_all("all => all.every(one => !one.checkVisibility())")
        assert page.get_by_role("button").count() + page.get_by_role("checkbox").count() == buttons
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        assert [route.request.method for route in asked] == ["GET"]

    def test_nothing_is_loaded_or_asked_before_a_visitor_turns_to_the_form(
        self, page: Page, webhooks: Webhooks
    ) -> None:
        """Most visitors only read."""
        loaded = "performance.getEntriesByType('resource').filter(entry => entry.name.includes('altcha')).length"
        page.wait_for_load_state("networkidle")
        assert (page.evaluate(loaded), webhooks.asked) == (0, 0)
        with page.expect_response(re.compile(r"altcha\.min\.js")):
            page.focus("#newsletter-email")
        assert webhooks.asked == 0

    def test_a_repeated_form_is_the_same_request(self, page: Page, webhooks: Webhooks) -> None:
        """After a refusal and a reload too: the same key with the same body, so that it has one effect."""
        webhooks.refuse_with = 400
        for _ in range(2):
            fill(page)
            page.get_by_role("button", name="Sign up").click()
            page.get_by_text("the form was refused (400)").wait_for()
            page.reload()
        first, second = webhooks.received
        assert solved(webhooks) and first.data == second.data
        assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
        assert webhooks.asked == 1

    def test_a_changed_form_has_a_solution_of_its_own(self, page: Page, webhooks: Webhooks) -> None:
        """What was spent for one request is not offered for another."""
        webhooks.refuse_with = 400
        fill(page, "Adda")
        page.get_by_role("button", name="Sign up").click()
        page.get_by_text("the form was refused (400)").wait_for()
        webhooks.refuse_with = None
        fill(page)
        send(page)
        first, second = solved(webhooks, 0), solved(webhooks, 1)
        assert first and second and first.id != second.id
        assert len({form.headers["Idempotency-Key"] for form in webhooks.received}) == 2

    def test_an_old_solution_is_not_offered(self, page: Page, webhooks: Webhooks) -> None:
        """A form that was left open gets a new one before the old one expires."""
        page.clock.install()
        webhooks.refuse_with = 400
        fill(page)
        page.get_by_role("button", name="Sign up").click()
        page.get_by_text("the form was refused (400)").wait_for()
        page.clock.fast_forward("16:00")
        webhooks.refuse_with = None
        send(page)
        first, second = solved(webhooks, 0), solved(webhooks, 1)
        assert first and second and first.id != second.id

    def test_the_assessment_brings_one_too(self, page: Page, asking: tuple[str, Webhooks], webhooks: Webhooks) -> None:
        """With the scores as numbers beside it."""
        page.goto(f"{asking[0]}/assessment")
        for system in page.locator("[data-system]").all():
            system.locator("[value=red]").check()
        page.click("text=See where I stand")
        page.get_by_label("Email", exact=True).fill("ada@example.org")
        page.get_by_label("Yes, send me my result").check()
        page.click("text=Show my result")
        page.locator("#result").wait_for()
        assert solved(webhooks)
        assert webhooks.received[0].body["red_systems"] == 8


def test_the_html_in_the_docs_works_as_written(page: Page, asking: tuple[str, Webhooks]) -> None:
    """The form of docs/website.md with what its part about challenges adds, for an Evergreen at another origin."""
    blocks = re.findall(r"```html\n(.+?)```", (ROOT / "docs" / "website.md").read_text(encoding="utf-8"), re.DOTALL)
    signup, added = blocks[:2]
    form, *scripts = re.findall(r"<form.*?>|<script.+?</script>", added)
    html = re.sub(r"<form.*?>", form, re.sub(r"<script.+?</script>", "", signup), count=1) + "".join(scripts)
    html = re.sub(r'src="/(\w+\.js)"', r'src="/static/\1"', html)
    page.route("**/signup.html", lambda route: route.fulfill(body=html, content_type="text/html"))
    posted: list[Any] = []

    def evergreen(route: Route) -> None:
        posted.append(route.request.post_data_json)
        asked = route.request.method == "GET"
        answer = challenge.create(KEY, round(time.time() * 1000)) if asked else {"status": "accepted"}
        route.fulfill(status=200 if asked else 202, json=answer, headers={"Access-Control-Allow-Origin": asking[0]})

    page.route("https://hooks.example.org/webhook/signup", evergreen)
    page.goto(f"{asking[0]}/signup.html")
    page.get_by_label("Email").fill("ada@example.org")
    page.get_by_label("Yes, send me").check()
    page.click("text=Sign up")
    page.get_by_text("Watch your inbox").wait_for()
    assert posted[0] is None and challenge.verified(posted[-1]["altcha"], KEY, round(time.time() * 1000))


class TestWithout:
    """The form is posted, no matter what goes wrong with a challenge."""

    @staticmethod
    def no_files(page: Page) -> None:
        """The owner has not copied altcha/."""
        page.route(re.compile("/altcha/"), lambda route: route.fulfill(status=404))

    @staticmethod
    def no_script(page: Page) -> None:
        """The owner has not copied challenge.js, or a browser extension blocks it."""
        page.route(re.compile(r"challenge\.js"), lambda route: route.abort())
        page.reload()

    @staticmethod
    def no_worker(page: Page) -> None:
        """Its worker is missing, or the content policy forbids it."""
        page.route(re.compile(r"pbkdf2\.js"), lambda route: route.abort())

    @staticmethod
    def an_unknown_algorithm(page: Page) -> None:
        """A later release asks for something that these files cannot do."""
        asked = challenge.create(KEY, 0)
        asked["parameters"]["algorithm"] = "ARGON2ID"
        answer = lambda route: route.fulfill(json=asked) if route.request.method == "GET" else route.fallback()  # noqa: E731
        page.route(re.compile("/webhook/"), answer)

    @staticmethod
    def no_json(page: Page) -> None:
        """Something in between answers with a page of its own."""
        answer = lambda route: route.fulfill(body="<p>") if route.request.method == "GET" else route.fallback()  # noqa: E731
        page.route(re.compile("/webhook/"), answer)

    @staticmethod
    def no_https(page: Page) -> None:
        """Browsers have the needed cryptography in secure pages only."""
        page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
        page.reload()

    @pytest.mark.parametrize("prepare", [no_files, no_script, no_worker, an_unknown_algorithm, no_json, no_https])
    def test_the_form_goes_without(self, page: Page, webhooks: Webhooks, prepare: Prepare) -> None:
        """And the visitor notices nothing."""
        prepare(page)
        fill(page)
        send(page)
        [form] = webhooks.received
        assert "altcha" not in form.body and form.body["email"] == "ada@example.org"

    def test_without_a_key_at_evergreen_the_form_goes_without(self, page: Page, webhooks: Webhooks) -> None:
        """The owner's page asks, and there is nothing to solve."""
        webhooks.challenge_key = ""
        fill(page)
        send(page)
        assert "altcha" not in webhooks.received[0].body

    def test_a_challenge_that_does_not_come_is_not_waited_for(self, page: Page, webhooks: Webhooks) -> None:
        """After fifteen seconds the form is posted."""
        page.clock.install()
        page.route(re.compile("/webhook/"), lambda route: None if route.request.method == "GET" else route.fallback())
        fill(page)
        page.get_by_role("button", name="Sign up").click()
        page.locator("altcha-widget [data-state=verifying]").wait_for(state="attached")
        page.clock.fast_forward(15_001)
        page.locator("#newsletter-done").wait_for()
        assert "altcha" not in webhooks.received[0].body

    def test_a_form_that_does_not_ask_loads_nothing(self, chromium: Browser, served: tuple[str, Webhooks]) -> None:
        """A site without challenges pays nothing for them."""
        with visiting(chromium, served[0]) as page:
            asked: list[str] = []
            page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
            fill(page)
            send(page)
        assert not [one for one in asked if "altcha" in one or (one.startswith("GET") and "/webhook/" in one)]
        assert "altcha" not in served[1].received[-1].body
