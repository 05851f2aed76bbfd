"""A ledger that gets lost, for tests: a small Evergreen between the sandbox's Notion and Resend, all on one clock that
the test moves."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from shared.core.errors import SendError
from shared.emails.subjects import Subjects
from shared.integrations.notion_values import iso
from shared.integrations.provider import Listed
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.ledger.outbox import Outbox
from shared.ledger.pacing import Pacer
from shared.notion.recorder import Recorder
from shared.recovery.fence import Fence
from shared.recovery.restore import Restorer
from shared.recovery.restore_report import Report
from shared.recovery.sent_list import Lister
from tests.conftest import START, Clock
from tests.support import patience
from tests.support.sandbox_server import Sandbox
from tests.support.waiting import WITHIN
from tests.support.world import ADA, World

SOURCES = {
    "contacts": "notion_businessx_db_id",
    "tracker": "notion_email_sequence_db_id",
    "email_log": "notion_email_log_db_id",
}


class Unlisted:
    """A provider that does not say what it sent."""

    def listed(self, after: str | None = None) -> Any:
        """Refused, as by a key that may only send."""
        raise SendError("closed", "Resend answered 401 restricted_api_key")


class Foreign:
    """Another account at the provider."""

    def __init__(self, at: int) -> None:
        self._at = at

    def listed(self, after: str | None = None) -> tuple[list[Listed], bool]:
        """Another person's only email."""
        return [Listed("elsewhere", ("who@example.org",), "Hello", self._at)], False


class LostLedger:
    """Evergreen at work, until its Redis is lost."""

    def __init__(self, ledger: Ledger, clock: Clock, box: Sandbox, layout: str = "evergreen") -> None:
        self.ledger, self.clock, self.box = ledger, clock, box
        self.made = box.seed(layout)
        self.world = World(ledger, clock)
        databases = {setting: self.made[name]["database_id"] for name, setting in SOURCES.items() if name in self.made}
        self.settings = self.world.settings.model_copy(update={"notion_token": "ntn_sandbox", **databases})
        self.notion = patience.notion(box)
        self.provider = patience.resend(box)
        self.world.sender = dataclasses.replace(self.world.sender, provider=self.provider)
        catalog, templates = self.world.sender.catalog, self.world.sender.templates
        self.subjects = Subjects(catalog, templates, self.settings)
        self.recorder = Recorder(
            ledger, catalog, self.settings, self.notion, Pacer(ledger, "notion", 10_000, sleep=lambda _: None)
        )
        self.fence = Fence(ledger, self.settings, self.notion, sleep=lambda _: None)

    def record(self) -> None:
        """Record everything in Notion, as far as this copy may."""
        self.clock.advance(seconds=30)
        while Outbox(self.ledger).depth() and FenceState(self.ledger).refusal() is None:
            self.recorder.drain(WITHIN)
            self.clock.advance(seconds=1)

    def pass_minutes(self, minutes: int) -> None:
        """Let time pass and work, minute by minute."""
        for _ in range(minutes):
            self.clock.advance(seconds=60)
            self.world.work()

    def lose(self) -> None:
        """Redis is gone."""
        self.ledger.redis.flushall()

    def restorer(self, lister: Lister | None = None) -> Restorer:
        """What restores it."""
        catalog = self.world.sender.catalog
        return Restorer(self.ledger, catalog, self.settings, self.notion, self.subjects, lister or self.provider)

    def restore(self, lister: Lister | None = None) -> Report:
        """Restore, and let it send."""
        report = self.restorer(lister).restore()
        self.fence.claim()
        return report

    def sent(self) -> Counter[str]:
        """How often Resend accepted each email id."""
        return Counter(
            tag["value"] for email in self.box.outbox() for tag in email["tags"] if tag["name"] == "email_id"
        )

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a data source."""
        pages = self.box.get("/notion.json")[self.made[name]["name"]]
        return [page["properties"] | {"id": page["id"]} for page in pages if not page["in_trash"]]

    def change(self, page: str, **properties: Any) -> None:
        """Change a row manually; `Last_Error` stands for the property `Last Error`."""
        changes = {name.replace("_", " "): value for name, value in properties.items()}
        self.box.notion("PATCH", f"/pages/{page}", json={"properties": changes}).raise_for_status()

    def write(self, source: str, **properties: Any) -> str:
        """Write a row manually, values in Notion's form; returns its id."""
        given = {name.replace("_", " "): value for name, value in properties.items()}
        parent = {"data_source_id": self.made[source]["data_source_id"]}
        answer = self.box.notion("POST", "/pages", json={"parent": parent, "properties": given})
        answer.raise_for_status()
        return str(answer.json()["id"])

    def person(self, number: int) -> str:
        """Sign up one of many; returns the run."""
        return self.world.sign_up(ADA | {"email": f"person{number}@example.org"})


def at(hours: float) -> dict[str, Any]:
    """A date in Notion, this many hours after the tests' clock begins."""
    return {"date": {"start": iso(START + round(hours * 3_600_000))}}
