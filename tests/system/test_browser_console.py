"""The console in a real browser: every page and every form, by keyboard and without JavaScript, in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from redis import Redis

from local import valkey
from shared.ledger import ids
from tests.support.console_desk import PASSWORD, RUN, console, listening, set_step, sign_up

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(__file__).parents[1] / "support" / "axe" / "axe.min.js"
HERE = f"/enrollments/{RUN}"
PAGES = {
    "overview": "",
    "stop": "/sending/stop",
    "enrollments": "/enrollments",
    "nobody": "/enrollments?address=nobody@example.org",
    "enrollment": HERE,
    "cancel": f"{HERE}/cancel",
    "campaigns": "/campaigns",
    "campaign": "/campaigns/christmas",
    "email": "/campaigns/christmas/christmas_email_2",
    "failures": "/failures",
    "suppressions": "/suppressions",
    "health": "/health",
}


def populate(redis: Redis) -> None:
    """Put something on every page."""
    sign_up()
    for number, segment in enumerate(({"red_systems": 1}, {"green_systems": 8}, {})):
        sign_up({"email": f"person{number}@example.org", "assessment_score": 60, **segment}, number=number)
    now = int(redis.time()[0]) * 1000
    reported = {name: now - 3_000_000 for name in ("delivered", "opened", "clicked")}
    set_step(redis, RUN, 1, state="sent", sent=now - 3_600_000, by="evergreen", id="re_7f3c", attempts=1, **reported)
    set_step(redis, RUN, 2, state="in-doubt", attempts=3, why="Resend did not answer within 10 s")
    set_step(redis, RUN, 3, state="failed", attempts=1, why="the mailbox does not exist")
    set_step(redis, RUN, 4, state="skipped", why="skipped manually")
    redis.zrem(ids.OPEN, ids.email_id(RUN, 1), ids.email_id(RUN, 4))
    redis.hset(
        "eg:tally:christmas", mapping={"1.sent": 4, "1.delivered": 4, "1.opened": 3, "1.clicked": 1, "3.failed": 1}
    )
    redis.hset("eg:templates:rejected", "christmas/christmas_email_3", "line 4: a link's address is not safe.")
    redis.hset(
        ids.contact_key(ids.digest("gone@example.org")),
        mapping={"email": "gone@example.org", "unsubscribed": now, "bounced": now},
    )
    redis.zadd("eg:suppressed", {ids.digest("gone@example.org"): now})


@pytest.fixture(scope="module")
def url(valkey_server: valkey.Valkey, tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[str]:
    """Where the console is; one for all tests."""
    with console(valkey_server, tmp_path_factory.mktemp("console")) as app, listening(app) as address:
        yield f"{address}/console"


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, url: str) -> Any:
    """What a browser keeps of a session."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Log out").wait_for()
    state = context.storage_state()
    context.close()
    return state


@contextmanager
def operator(chromium: Browser, url: str, state: Any, **options: Any) -> Iterator[Page]:
    """The operator's browser on the overview; anything that breaks the content policy or a script fails the test."""
    context = chromium.new_context(storage_state=state, **options)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda message: faults.append(message.text) if "Content Security Policy" in message.text else None
    )
    page.goto(url)
    yield page
    context.close()
    assert not faults


@pytest.fixture
def page(chromium: Browser, url: str, signed_in: Any, redis: Redis) -> Iterator[Page]:
    """The operator, with something on every page."""
    populate(redis)
    with operator(chromium, url, signed_in) as page:
        yield page


def enter(page: Page, url: str, password: str) -> None:
    """Open the console and sign in with this password."""
    page.goto(url)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


@pytest.mark.usefixtures("signed_in")  # the others' session begins before the guesses
def test_guesses_of_others_do_not_lock_the_owner_out(chromium: Browser, url: str, redis: Redis) -> None:
    """In the owner's browser the password works, even after signing out, while the one that guessed has to wait."""
    owner, guesser = chromium.new_context(), chromium.new_context()
    page, other = owner.new_page(), guesser.new_page()
    enter(page, url, PASSWORD)
    page.get_by_role("button", name="Log out").click()
    for _ in range(5):
        enter(other, url, "guess")
        other.get_by_text("Wrong password.").wait_for()
    enter(other, url, PASSWORD)
    other.get_by_role("alert").get_by_text("Too many attempts. Try again in ").wait_for()
    enter(page, url, PASSWORD)
    page.get_by_role("button", name="Log out").wait_for()
    owner.close()
    guesser.close()


def complaints(page: Page) -> list[str]:
    """What axe finds serious or critical on a page.

    Its script goes in past the page's policy, as a person's extension would."""
    found = page.evaluate(
        "async (source) => { eval(source); return (await axe.run(document, {iframes: false})).violations }",
        AXE.read_text(encoding="utf-8"),
    )
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {node['html'][:200]}" for each in serious for node in each["nodes"]]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(
    chromium: Browser, url: str, signed_in: Any, redis: Redis, scheme: Literal["light", "dark"], width: int
) -> None:
    """axe finds nothing serious on any page, the door and refusals included, and none is wider than the screen."""
    populate(redis)
    viewport: Any = {"width": width, "height": 800}
    with operator(chromium, url, signed_in, color_scheme=scheme, viewport=viewport, bypass_csp=True) as page:
        for path in (*PAGES.values(), "/nothing"):
            page.goto(url + path)
            assert complaints(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") == width, path
        page.context.clear_cookies()
        page.goto(url)
        assert complaints(page) == []


def test_a_wrong_password_and_the_right_one(chromium: Browser, url: str, redis: Redis) -> None:
    """By keyboard; the door leads on to the page that was asked for, and logging out closes it."""
    page = chromium.new_page()
    page.goto(f"{url}/suppressions")
    for password in ("guess", PASSWORD):
        page.locator("#password:focus").wait_for()  # what is typed before that is lost
        page.keyboard.type(password)
        page.keyboard.press("Enter")
        page.get_by_text("Wrong password." if password == "guess" else "No address is suppressed.").wait_for()
    assert page.url == f"{url}/suppressions"
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto(f"{url}/suppressions")
    assert page.get_by_role("heading", name="Sign in").is_visible()
    page.close()


def test_a_run_is_found_paused_resumed_and_cancelled(page: Page, url: str) -> None:
    """From the search to the question before what cannot be undone."""
    page.get_by_role("link", name="Enrollments", exact=True).first.click()
    page.wait_for_url(f"{url}/enrollments")  # and its script is loaded
    page.keyboard.press("/")
    page.keyboard.type("person1@example.org")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="person1@example.org").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("status").filter(has_text="Paused").wait_for()
    page.get_by_role("button", name="Resume, dates move").click()
    page.get_by_role("status").filter(has_text="Resumed").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume, catch up").click()
    page.get_by_role("status").filter(has_text="original dates").wait_for()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="Back").click()
    assert page.locator(".lead .badge").inner_text() == "active"
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Cancel the enrollment").click()
    page.get_by_role("status").filter(has_text="Cancelled").wait_for()
    assert page.get_by_text("No more emails scheduled.").is_visible()


def test_steps_are_skipped_sent_now_and_retried(page: Page, url: str) -> None:
    """Each from the timeline; what may arrive twice says so first."""
    page.goto(url + HERE)
    for link, button, said in (
        ("Skip… email 6", "Skip the email", "Skipped: this email will not be sent."),
        ("Send now… email 7", "Send the email now", "The email goes out now."),
        ("Send as new… email 2", "Send the email as a new one", "Evergreen is sending it as a new email."),
    ):
        page.get_by_role("link", name=link).click()
        page.get_by_role("button", name=button).click()
        page.get_by_role("status").filter(has_text=said).wait_for()
    page.get_by_role("button", name="Retry email 3").click()
    page.get_by_role("status").filter(has_text="Evergreen is trying again.").wait_for()
    states = page.locator(".timeline .badge").all_inner_texts()
    assert [states[number - 1] for number in (2, 3, 6, 7)] == ["scheduled", "scheduled", "skipped", "scheduled"]


def test_a_failure_is_retried_from_the_list(page: Page) -> None:
    """And leads back to it."""
    page.get_by_role("link", name="Failures").click()
    page.get_by_role("button", name="Retry email 3").click()
    page.get_by_role("status").filter(has_text="Evergreen is trying again.").wait_for()
    assert page.get_by_role("heading", name="Failures").is_visible()
    page.get_by_role("link", name="Send as new… email 2").click()
    page.get_by_role("button", name="Send the email as a new one").click()
    page.get_by_text("No email failed or is in doubt.").wait_for()


def test_all_sending_is_stopped_and_started(page: Page) -> None:
    """With a question first, and a banner on every page meanwhile."""
    page.get_by_role("link", name="Stop all sending").click()
    page.get_by_label("Reason").fill("a wrong price")
    page.get_by_role("button", name="Stop all sending").click()
    page.get_by_role("link", name="Campaigns").click()
    assert page.get_by_text("Sending is stopped: a wrong price.").is_visible()
    page.get_by_role("link", name="Start it again").click()
    page.get_by_role("button", name="Start sending").click()
    page.get_by_role("status").filter(has_text="Sending resumed").wait_for()


def test_a_suppression_is_added_and_lifted(page: Page) -> None:
    """An unsubscribe only with the person's consent."""
    page.get_by_role("link", name="Suppressions").click()
    page.get_by_role("textbox", name="Address").fill("person0@example.org")
    page.get_by_role("button", name="Suppress", exact=True).click()
    page.get_by_role("status").filter(has_text="Enrollments ended: 1").wait_for()
    page.get_by_role("button", name="Unblock person0@example.org").click()
    page.get_by_role("status").filter(has_text="Unblocked. Removed: manual.").wait_for()
    page.get_by_label("They have asked for email again").check()
    page.get_by_role("button", name="Unblock gone@example.org").click()
    page.get_by_role("status").filter(has_text="Resend has its own suppression list").wait_for()


def test_each_email_is_previewed_for_each_segment(page: Page) -> None:
    """At both widths, in frames that can do nothing."""
    page.get_by_role("link", name="Campaigns").click()
    page.get_by_role("link", name="Christmas 2025").click()
    page.get_by_role("link", name="christmas_email_2", exact=True).click()
    page.get_by_role("link", name="OPTIMIZE").click()
    for title in ("The email at desktop width", "The email at phone width"):
        page.frame_locator(f"iframe[title='{title}']").get_by_text("Take your red systems (0)").wait_for()
    assert page.locator(".phone iframe").evaluate("frame => frame.clientWidth") in range(360, 376)


def test_filters_apply_themselves(page: Page, url: str) -> None:
    """A choice is enough, and what is empty stays out of the address."""
    page.goto(f"{url}/enrollments")
    page.get_by_label("Segment").select_option("URGENT")
    page.wait_for_url(f"{url}/enrollments?segment=URGENT")
    assert page.locator("tbody tr").count() == 1


def test_everything_works_without_javascript(chromium: Browser, url: str, signed_in: Any, redis: Redis) -> None:
    """Filters by their button, decisions by their forms."""
    populate(redis)
    with operator(chromium, url, signed_in, java_script_enabled=False) as page:
        page.goto(f"{url}/enrollments")
        page.get_by_label("Segment").select_option("CRITICAL")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("link", name="ada@example.org").click()
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("status").filter(has_text="Paused").wait_for()
        page.get_by_role("link", name="Skip… email 6").click()
        page.get_by_role("button", name="Skip the email").click()
        page.get_by_role("status").filter(has_text="will not be sent").wait_for()
