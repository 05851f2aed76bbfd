"""Each way into a funnel of the demo site, as a visitor takes it in a browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCORES = {"assessment_score", "red_systems", "orange_systems", "yellow_systems", "green_systems"}
CONSENT = {"consent", "consent_text", "altcha"}  # what each website form adds, for the local stack has challenges
PERSON = {"email", "first_name", "timezone"}


@dataclass(frozen=True)
class Visitor:
    """A visitor of the site; the address is made from the first name."""

    page: Page
    url: str
    name: str

    @property
    def email(self) -> str:
        """The address."""
        return f"{self.name.lower()}@example.org"


Way = Callable[[Visitor], None]


def christmas(choice: str) -> Way:
    """The form of the Christmas special, with or without the sample scores.

    Args:
        choice: the label under "Your assessment".
    """

    def go(visitor: Visitor) -> None:
        page = visitor.page
        page.goto(visitor.url)
        page.fill("#christmas-email", visitor.email)
        page.fill("#christmas-name", visitor.name)
        page.fill("#christmas-business", f"{visitor.name} & Co")
        page.get_by_label(choice).check()
        page.get_by_label("Yes, send me the seven emails").check()
        page.click("text=Send me the special")
        page.locator("#christmas-done").wait_for()

    return go


def assessment(colors: Sequence[str], path: str = "/assessment", own_email: str | None = None) -> Way:
    """The assessment.

    Args:
        colors: the first answers; the rest are green.
        path: of the page.
        own_email: what the site reports of its own first email, on the Christmas page.
    """

    def go(visitor: Visitor) -> None:
        page = visitor.page
        page.goto(visitor.url + path)
        for number, system in enumerate(page.locator("[data-system]").all()):
            system.locator(f"[value={colors[number] if number < len(colors) else 'green'}]").check()
        page.click("text=See where I stand")
        page.fill("#details-name", f"{visitor.name} Miller")
        page.fill("#details-business", f"{visitor.name} & Co")
        page.fill("#details-email", visitor.email)
        if own_email:
            page.get_by_label("own email").select_option(own_email)
        page.get_by_label("Yes, send me my result").check()
        page.click("text=Show my result")
        page.locator("#result").wait_for()

    return go


def operator(form: str, button: str, **fields: str) -> Way:
    """One of the operator's forms.

    Args:
        form: what its fields' ids begin with.
        button: its text.
        fields: those beyond email and first name, by the end of their ids.
    """

    def go(visitor: Visitor) -> None:
        page = visitor.page
        page.goto(f"{visitor.url}/operator")
        for name, value in {"email": visitor.email, "first": visitor.name, **fields}.items():
            page.fill(f"#{form}-{name}", value)
        page.click(f"text={button}")
        page.get_by_text("Your details have arrived").wait_for()

    return go


def book(time: str = "", kind: str = "call") -> Way:
    """The booking page.

    Args:
        time: the label of a time; one that is days ahead by default.
        kind: what is booked.
    """

    def go(visitor: Visitor) -> None:
        page = visitor.page
        page.goto(f"{visitor.url}/book")
        page.select_option("#book-kind", kind)
        _choose(page, "#book", time)
        page.fill("#book-name", visitor.name)
        page.fill("#book-email", visitor.email)
        press(page, "Book this time", "Your call is booked.")

    return go


def booked_then(button: str, says: str, time: str | None = None, kind: str = "call") -> Way:
    """A booking, and what becomes of it.

    Args:
        button: what is pressed then.
        says: what the page says about it.
        time: the label of another time, where one is chosen; as for `book`.
        kind: what is booked.
    """

    def go(visitor: Visitor) -> None:
        book(kind=kind)(visitor)
        if time is not None:
            _choose(visitor.page, "#booked", time)
        press(visitor.page, button, says)

    return go


def press(page: Page, button: str, says: str) -> None:
    """Press a button of the booking page, and wait for its word."""
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("status").filter(has_text=says).wait_for()


def _choose(page: Page, form: str, time: str) -> None:
    """Choose the time of that label; else a late one, so that no reminder of it is past, and another when the call is
    moved."""
    if time:
        page.locator(form).get_by_label(time).check()
    else:
        page.locator(f"{form} [type=radio][name=starts_at]:not([data-soon])").all()[
            -2 if form == "#book" else -1
        ].check()
