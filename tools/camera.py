"""Takes a screenshot of a running stack: of a page, of a row in the sandbox's Notion, or of an email."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from local.trial import Trial
from tests.support.site_ways import Visitor, Way

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESKTOP, TABLE, MAIL, PHONE = (1200, 800), (1400, 620), (720, 780), (390, 780)
COLORS = 256


@dataclass(frozen=True)
class Camera:
    """A browser on a stack, and the folder for its pictures."""

    browser: Browser
    trial: Trial
    folder: Path

    @contextmanager
    def looking(self, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Iterator[Page]:
        """A page in a separate profile."""
        width, height = size
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            timezone_id="America/Toronto",
        )
        yield context.new_page()
        context.close()

    def visit(self, page: Page, name: str, way: Way) -> None:
        """Let a visitor follow a path through the site."""
        way(Visitor(page, self.trial.url, name))

    def shoot(self, page: Page, name: str) -> None:
        """Save the view as a PNG with few colors."""
        page.wait_for_load_state("networkidle")
        taken = page.screenshot(animations="disabled")
        picture = Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        picture.save(self.folder / f"{name}.png", optimize=True)

    def shoot_row(self, name: str, table: str, row: str = "") -> None:
        """Save a table of the sandbox's Notion, or its first row with some text."""
        with self.looking(TABLE) as page:
            page.goto(f"{self.trial.sandbox_url}/notion")
            for text in filter(None, (table, row)):
                page.locator("main :is(li, tbody) a", has_text=text).first.click()
            self.shoot(page, name)

    def email(self, who: str, subject: str) -> str | None:
        """The id of an email to a person, once it was sent."""
        sent = (
            email
            for email in self.trial.outbox()
            if email["to"] == [f"{who}@example.org"] and subject in email["subject"]
        )
        return next((str(email["id"]) for email in sent), None)

    def shoot_email(self, name: str, email: str | None, size: tuple[int, int], *, dark: bool = False) -> None:
        """Save an email as a mail program of that width shows it."""
        with self.looking(size, dark=dark) as page:
            page.goto(f"{self.trial.sandbox_url}/emails/{email}/frame?scheme={'dark' if dark else 'light'}")
            self.shoot(page, name)
