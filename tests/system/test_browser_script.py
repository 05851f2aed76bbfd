"""evergreen.js in a real browser: what it posts, and what a visitor is shown for each answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from shared.core.stack_file import ROOT
from tests.support.site_server import Webhooks
from tests.support.site_visitor import ACCEPTED, ZONE, Answer, Answering

if TYPE_CHECKING:
    from playwright.sync_api import Page


def fill_newsletter(page: Page, email: str = "ada@example.org") -> None:
    """Fill the newsletter's form, without sending it."""
    page.fill("#newsletter-email", email)
    page.fill("#newsletter-name", "Ada")
    page.get_by_label("Yes, send me the Northside Operations newsletter").check()


def sign_up(page: Page, email: str = "ada@example.org") -> None:
    """Fill the newsletter's form and send it."""
    fill_newsletter(page, email)
    page.click("text=Sign up")


def newsletter_says(page: Page, text: str) -> None:
    """Wait until the newsletter's form says so."""
    page.locator("section", has=page.locator("#newsletter-title")).locator(
        ".evergreen-status", has_text=text
    ).wait_for()


class TestScript:
    """evergreen.js, on the newsletter's form."""

    def test_the_form_is_posted_with_consent_and_time_zone(self, page: Page) -> None:
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
                "consent_text": "Yes, send me the Northside Operations newsletter. I can unsubscribe at any time.",
            }
        ]
        assert page.locator("#newsletter-done").evaluate("element => element === document.activeElement")

    def test_the_honeypot_is_posted_and_hidden_from_people(self, page: Page) -> None:
        """A robot fills it; a person cannot see it, reach it with the keyboard or hear it read out."""
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

    def test_it_waits_as_long_as_retry_after_says(self, page: Page) -> None:
        """Not a moment earlier."""
        page.clock.install()
        answering = Answering(page, {"status": 429, "headers": {"Retry-After": "7"}}, ACCEPTED)
        sign_up(page)
        newsletter_says(page, "Trying again")
        page.clock.run_for(6900)
        assert len(answering.requests) == 1
        page.clock.run_for(700)
        page.locator("#newsletter-done").wait_for()

    def test_a_wait_that_is_too_long_is_shown_to_the_visitor(self, page: Page) -> None:
        """No one watches a form for an hour: it says when to come back."""
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

    def test_a_changed_or_repeated_form_gets_a_new_key(self, page: Page) -> None:
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
    def test_a_refused_form_is_not_resent(self, page: Page, status: int) -> None:
        """Another try would fail again; the visitor sees it at once and can change the form."""
        answering = Answering(page, {"status": status})
        sign_up(page)
        newsletter_says(page, f"refused ({status})")
        assert len(answering.requests) == 1
        assert page.get_by_role("button", name="Sign up").is_enabled()

    def test_invalid_fields_are_marked(self, page: Page) -> None:
        """A 422 is shown next to its field, read out with it; what has no field is shown below.

        The next try starts clean."""
        detail = [
            {"loc": ["email"], "msg": "Please use another address.", "type": "value_error"},
            {"loc": ["first_name"], "msg": "is too long", "type": "x"},
        ]
        Answering(
            page,
            {"status": 422, "json": {"detail": [*detail, {"loc": [], "msg": "more than eight", "type": "x"}]}},
            ACCEPTED,
        )
        email, name = page.locator("#newsletter-email"), page.locator("#newsletter-name")
        name.evaluate("field => { field.dataset.error = 'Please write a shorter name.' }")
        sign_up(page)
        newsletter_says(page, "Please check the marked fields. more than eight")
        assert (
            email.evaluate("field => field === document.activeElement && field.getAttribute('aria-invalid')") == "true"
        )
        described = "field => document.getElementById(field.getAttribute('aria-describedby')).textContent"
        assert email.evaluate(described) == "Please use another address."
        assert name.evaluate(described) == "Please write a shorter name."
        page.click("text=Sign up")
        page.locator("#newsletter-done").wait_for()
        assert page.locator(".evergreen-error, [aria-invalid]").count() == 0

    def test_a_frequent_mistake_in_the_address_is_pointed_out(self, page: Page) -> None:
        """One press corrects it; without that, the address goes as it was typed. Other addresses get no hint."""
        answering, hint = Answering(page, ACCEPTED), page.locator(".evergreen-meant")
        for typed, meant in (("Ada@gmial.com", "Ada@gmail.com"), ("ada@hotmial.con", "ada@hotmail.com")):
            fill_newsletter(page, typed)
            hint.wait_for()
            assert hint.text_content() == f"Did you mean {meant}?"
        hint.click()
        assert (page.input_value("#newsletter-email"), hint.count()) == ("ada@hotmail.com", 0)
        fill_newsletter(page, "ada@yahoo.co.uk")
        assert hint.count() == 0
        sign_up(page, "ada@gmial.com")
        page.locator("#newsletter-done").wait_for()
        assert answering.bodies[0]["email"] == "ada@gmial.com"

    def test_two_clicks_send_once(self, page: Page) -> None:
        """While a form is on its way it cannot be sent again."""
        answering = Answering(page, ACCEPTED)
        fill_newsletter(page)
        page.evaluate("const form = document.querySelector('form'); form.requestSubmit(); form.requestSubmit()")
        page.locator("#newsletter-done").wait_for()
        assert len(answering.requests) == 1

    def test_it_can_redirect_to_a_page_afterwards(self, page: Page) -> None:
        """With an address in `data-done`, the visitor goes there."""
        Answering(page, ACCEPTED)
        page.evaluate("document.querySelector('form').dataset.done = '/thank-you'")
        sign_up(page)
        page.wait_for_url("**/thank-you")


def test_the_html_in_the_docs_works_as_written(page: Page, served: tuple[str, Webhooks]) -> None:
    """What an owner copies from docs/website.md, with only the script's address changed, sends both forms to
    another origin."""
    blocks = re.findall(r"```html\n(.+?)```", (ROOT / "docs" / "website.md").read_text(encoding="utf-8"), re.DOTALL)
    signup, _challenge, assessment = (re.sub(r'src="/(\w+\.js)"', r'src="/static/\1"', block) for block in blocks)
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
