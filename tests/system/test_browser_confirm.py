"""The confirmation in a real browser: a held sign-up, the email in the sandbox's outbox, its link, the button, and the
first email."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from redis import Redis

from local import valkey
from shared import serve, services
from shared.core.stack_file import ROOT
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.support.console_desk import listening
from tests.support.functions_client import ADDRESS, BEARER, Functions, deployed
from tests.support.sandbox_server import Sandbox
from tests.support.waiting import WITHIN
from tests.system.test_browser_console import complaints

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BUTTON = "Yes, this is my address"


@pytest.fixture
def functions(
    valkey_server: valkey.Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch, box: Sandbox, tmp_path: Path
) -> Iterator[Functions]:
    """The functions beside the sandbox, with the Christmas campaign's sign-ups always confirmed."""
    own = tmp_path / "campaigns"
    shutil.copytree(ROOT / "shared/campaigns", own)
    (file,) = own.glob("christmas/campaign.*")
    file.write_text(file.read_text().replace("requires: [assessment]", "requires: [assessment]\nconfirm: always"))
    with deployed(
        valkey_server,
        monkeypatch,
        CAMPAIGNS_DIR=str(own),
        RESEND_API_URL=f"{box.url}/resend",
        BUSINESS_NAME="Northside",
    ) as found:
        yield found


@pytest.fixture
def public(functions: Functions) -> Iterator[str]:
    """Where the functions are reached; the links in emails lead there."""
    with listening(lambda environ, start: app(environ, start)) as url:
        functions.set(PUBLIC_URL=url)
        app = serve.every_function()
        yield url


def ask(functions: Functions) -> None:
    """What the worker's job does."""
    answer = functions.client("send-email").post("/confirmations", json={}, headers=BEARER)
    assert answer.json == {"result": "asked", "count": 1}


def open_email(page: Page, box: Sandbox) -> None:
    """Open the email in the sandbox's outbox, and follow its button."""
    page.goto(box.url)
    page.get_by_text("Please confirm your sign-up").first.click()
    frame = page.frame_locator("iframe").first
    link = frame.get_by_role("link", name=BUTTON).get_attribute("href", timeout=WITHIN * 1000)
    assert link and "/confirm?token=" in link
    page.goto(link)


def work(ledger: Ledger, functions: Functions) -> None:
    """Release what is due, and send it."""
    ledger.release_all()
    while job := str(ledger.redis.lpop(ids.QUEUE) or ""):
        if not job.startswith("confirm-"):
            functions.send(*ids.parse_job_id(job))


def test_the_whole_way(chromium: Browser, functions: Functions, public: str, box: Sandbox) -> None:
    """A form is held; its email leads to the page, the button enrolls, and the first email arrives; with the keyboard
    alone."""
    held = functions.sign_up()
    assert held.json and "confirm your address" in held.json["message"] and functions.run() is None
    ask(functions)
    assert [email["to"] for email in box.outbox()] == [[ADDRESS]]
    page = chromium.new_page()
    open_email(page, box)
    assert page.get_by_role("heading", name="Is this your email address?").is_visible()
    assert functions.run() is None, "opening the page decides nothing"
    page.keyboard.press("Tab")
    focused: Any = page.evaluate("document.activeElement.textContent")
    assert focused == BUTTON
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Thank you, your address is confirmed").wait_for()
    assert page.get_by_role("button").count() == 0
    page.close()
    run = functions.run()
    assert run and run.state == "active"
    work(services.ledger(), functions)
    assert len(box.outbox()) == 2
    assert {tuple(email["to"]) for email in box.outbox()} == {(ADDRESS,)}


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_is_accessible_and_fits(
    chromium: Browser,
    functions: Functions,
    public: str,
    box: Sandbox,
    redis: Redis,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    """The question, the thanks, the expired and the incomplete link: axe finds nothing serious, and none is wider than
    the screen."""
    functions.sign_up()
    ask(functions)
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 700}, bypass_csp=True)
    page = context.new_page()
    open_email(page, box)
    asks = page.url

    def check(heading: str) -> None:
        page.get_by_role("heading", name=heading).wait_for()
        assert complaints(page) == [], heading
        assert page.evaluate("document.documentElement.scrollWidth") == width, heading

    check("Is this your email address?")
    page.get_by_role("button", name=BUTTON).click()
    check("Thank you, your address is confirmed")
    redis.delete(ids.contact_key(ids.digest(ADDRESS)))
    page.goto(asks)
    page.get_by_role("button", name=BUTTON).click()
    check("This link has expired")
    page.goto(asks[:-1])
    check("This link is incomplete")
    context.close()
