"""The fence's word in Notion: a part of the description of the tracker's database."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.core.settings import Settings
from shared.integrations.notion import Notion

_WORD = re.compile(r"\s*\(fence: ([0-9a-f]{16})\)")


@dataclass(frozen=True)
class Description:
    """The description of the tracker's database.

    Attributes:
        database: its id.
        rest: the description without the word.
        word: the word, or None.
    """

    database: str
    rest: str
    word: str | None

    def with_word(self, word: str) -> str:
        """The description with another word; its rest is kept."""
        return f"{self.rest} (fence: {word})".strip()


def read(notion: Notion, settings: Settings) -> Description:
    """Read the description; raises NotionError.

    Args:
        notion: the workspace.
        settings: name the tracker.
    """
    database = notion.database(settings.notion_email_sequence_db_id)
    text = "".join(part.get("plain_text", "") for part in database.get("description") or [])
    found = _WORD.search(text)
    return Description(str(database["id"]), _WORD.sub("", text), found[1] if found else None)
