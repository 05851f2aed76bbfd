"""The pictures in docs/img: `python -m tools.screenshots` starts a stack, simulates visitors of its site, and takes
screenshots of the result."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from local.trial import running
from shared.core.stack_file import ROOT
from shared.ledger import ids
from tests.support import browser
from tests.support.site_ways import Way, assessment, book, christmas, operator
from tests.support.waiting import until
from tools.camera import DESKTOP, MAIL, PHONE, Camera

IMAGES = ROOT / "docs" / "img"
ENOUGH = 14  # emails, to fill the outbox
LARGEST, ALTOGETHER = 150_000, 1_200_000  # bytes
MIXED = ["red", "orange", "yellow", "green", "green", "red", "yellow", "green"]
CROWD: dict[str, Way] = {
    "Tracy": christmas("I have not taken it"),
    "Olga": assessment([]),
    "Ursula": assessment(["red"]),
    "Sven": assessment(["orange"], "/christmas", "sent"),
    "Edsger": operator("onboarding", "Start onboarding"),
    "Ada": christmas("Use a sample result"),
}
LETTERS = (("ada", "Your assessment result"), ("grace", "Your meeting on"))


def site(camera: Camera) -> None:
    """The website, with its first visitors."""
    with camera.looking() as page:
        page.goto(camera.trial.url)
        camera.shoot(page, "site-home")
    with camera.looking() as page:
        camera.visit(page, "Carla", assessment(MIXED))
        page.evaluate("scrollTo(0, 0)")
        camera.shoot(page, "site-result")
    with camera.looking(PHONE, dark=True) as page:
        page.goto(f"{camera.trial.url}/assessment")
        camera.shoot(page, "site-assessment-phone-dark")
    with camera.looking() as page:
        page.goto(f"{camera.trial.url}/book")
        camera.shoot(page, "site-booking")
        camera.visit(page, "Grace", book())
    for name, way in CROWD.items():
        with camera.looking() as page:
            camera.visit(page, name, way)


def emails(camera: Camera) -> None:
    """The outbox, and two emails, each on desktop and phone, in light and dark mode."""
    with camera.looking() as page:
        page.goto(camera.trial.sandbox_url)
        camera.shoot(page, "outbox")
        page.get_by_role("link", name="Your assessment result").first.click()
        camera.shoot(page, "outbox-email")
    for who, subject in LETTERS:
        for place, size in (("desktop", MAIL), ("phone", PHONE)):
            for dark in (False, True):
                name = f"email-{who}-{place}-{'dark' if dark else 'light'}"
                camera.shoot_email(name, camera.email(who, subject), size, dark=dark)


def owner(camera: Camera) -> None:
    """What the owner sees in Notion and Discord."""
    camera.shoot_row("notion-contacts", "Contacts")
    camera.shoot_row("notion-tracker", "Email Sequence")
    camera.shoot_row("notion-tracker-row", "Email Sequence", "Ada")
    camera.shoot_row("notion-email-log", "Email Log")
    with camera.looking() as page:
        page.goto(f"{camera.trial.sandbox_url}/discord-page")
        camera.shoot(page, "discord")


def console(camera: Camera) -> None:
    """What the operator sees."""
    password = (camera.trial.directory / "secrets" / "console-password").read_text(encoding="utf-8").strip()
    for size, suffix, dark in ((DESKTOP, "", False), (PHONE, "-phone-dark", True)):
        with camera.looking(size, dark=dark) as page:
            page.goto(f"{camera.trial.url}/console")
            page.locator("input[type=password]").fill(password)
            page.locator("main form button").click()
            camera.shoot(page, f"console-overview{suffix}")
            page.goto(f"{camera.trial.url}/console/enrollments")
            page.locator("main table a", has_text="ada@").first.click()
            camera.shoot(page, f"console-timeline{suffix}")
            page.goto(f"{camera.trial.url}/console/campaigns/christmas")
            camera.shoot(page, f"console-campaign{suffix}")


def main(folder: Path = IMAGES) -> int:
    """Take every picture; returns 1 if there is no browser, or if they are too large for a repository."""
    if browser.executable() is None:
        print(
            f"There is no Chromium: install one, or set CHROMIUM to its path. Looked for: {', '.join(browser.NAMES)}."
        )
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as state,
        running(Path(state), TESTING_STEP="3s", RESEND_RATE="1000", NOTION_RATE="1000") as trial,
    ):
        trial.limit(resend=1000, notion=1000)
        with browser.launched() as chromium:
            camera = Camera(chromium, trial, folder)
            site(camera)
            until(
                lambda: trial.outbox_count() >= ENOUGH and all(camera.email(who, subject) for who, subject in LETTERS)
            )
            emails(camera)
            console(camera)
            until(lambda: trial.redis().zcard(ids.OUTBOX) == 0, within=60)
            owner(camera)
    sizes = {picture.name: picture.stat().st_size for picture in sorted(folder.glob("*.png"))}
    for name, size in sizes.items():
        print(f"{size / 1000:6.0f} kB  docs/img/{name}")
    return int(max(sizes.values()) > LARGEST or sum(sizes.values()) > ALTOGETHER)


if __name__ == "__main__":
    sys.exit(main())
