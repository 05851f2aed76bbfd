"""A visitor of the demo site in a real browser, and answers in place of its webhooks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Route

ZONE = "America/Toronto"
Answer = dict[str, Any]  # what route.fulfill takes
ACCEPTED: Answer = {"status": 202, "json": {"status": "accepted", "message": "Thank you. Your details have arrived."}}


@contextmanager
def visiting(chromium: Browser, url: str) -> Iterator[Page]:
    """A page on a small phone in ZONE; anything that breaks the content policy or a script fails the test."""
    context = chromium.new_context(timezone_id=ZONE, viewport={"width": 320, "height": 700})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda message: faults.append(message.text) if "Content Security Policy" in message.text else None
    )
    page.goto(url)
    try:
        yield page
    finally:
        context.close()
    if faults:
        pytest.fail(f"the browser complains: {faults}")


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
