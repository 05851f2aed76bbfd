"""An owner who writes emails in Notion, for tests: the sandbox's data source of templates beside a small Evergreen."""

from __future__ import annotations

from typing import Any

from shared.emails.template_store import Store
from shared.ledger.template_texts import TemplateTexts
from shared.notion.template_pull import Puller, Verdict
from tests.support import patience
from tests.support.sandbox_server import Sandbox, text
from tests.support.world import World

TEMPLATE = "christmas_email_1"
NAME = f"christmas/{TEMPLATE}"


class OwnersDesk:
    """What an owner does in Notion, and what Evergreen makes of it."""

    def __init__(self, world: World, box: Sandbox) -> None:
        self.world, self.box = world, box
        self.requests, self._fault_at = 0, (0, "")
        self.made = box.seed()
        self.source = self.made["templates"]["data_source_id"]
        database = {"notion_templates_db_id": self.made["templates"]["database_id"], "notion_token": "ntn_sandbox"}
        self.settings = world.settings.model_copy(update=database | {"notion_api_url": f"{box.url}/notion"})
        self.notion = patience.notion(box, self._turn)
        self.adopter = Puller(world.ledger, world.sender.catalog, self.settings, self.notion)
        self.last_good = TemplateTexts(world.ledger)

    def _turn(self) -> None:
        self.requests += 1
        if self.requests == self._fault_at[0]:
            self.box.fault(self._fault_at[1], provider="notion", status=500)

    def fails_at(self, request: int, kind: str) -> None:
        """Have one of Evergreen's next requests to Notion fail once; 1 is the next."""
        self._fault_at = (self.requests + request, kind)

    def writes(self, body: str, subject: str = "Hello", template: str = TEMPLATE, **columns: str) -> str:
        """Write a Live row with its page, as Notion itself would keep it; returns its id."""
        values = {"Status": "Live"} | columns
        properties: dict[str, Any] = {"Template ID": {"title": text(template)}, "Subject": {"rich_text": text(subject)}}
        for name, value in values.items():
            properties[name] = (
                {"rich_text": text(value)} if name in ("Preview", "Error") else {"select": {"name": value}}
            )
        answer = self.box.notion(
            "POST", "/pages", json={"parent": {"data_source_id": self.source}, "properties": properties}
        )
        answer.raise_for_status()
        page = str(answer.json()["id"])
        self.rewrites(page, body)
        return page

    def rewrites(self, page: str, body: str) -> None:
        """Replace a page's body."""
        asked = {"type": "replace_content", "replace_content": {"new_str": body}}
        self.box.notion("PATCH", f"/pages/{page}/markdown", json=asked).raise_for_status()

    def changes(self, page: str, **properties: Any) -> None:
        """Change properties of a row."""
        self.box.notion("PATCH", f"/pages/{page}", json={"properties": properties}).raise_for_status()

    def sets_status(self, page: str, status: str) -> None:
        """Choose another Status."""
        self.changes(page, Status={"select": {"name": status}})

    def error(self, page: str) -> str:
        """What the row's column Error says."""
        rows = self.box.get("/notion.json")[self.made["templates"]["name"]]
        return str(next(row for row in rows if row["id"] == page)["properties"]["Error"] or "")

    def look(self) -> list[Verdict]:
        """Half a minute later, look at everything."""
        self.world.clock.advance(seconds=30)
        return self.adopter.pull()

    def verdict(self) -> Verdict:
        """Look, and expect one row."""
        (found,) = self.look()
        return found

    def store(self) -> Store:
        """What a send function has just after its start."""
        return Store(self.world.sender.catalog, self.settings, self.world.ledger)

    def subject(self, template: str = TEMPLATE) -> str:
        """The subject of the text that goes out now."""
        return self.store()["christmas", template].subject_source
