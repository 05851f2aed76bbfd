"""The rows of the data source "templates": the email of each, and its page as a template's source."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.errors import CampaignError, masked
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.emails.template_store import Key, compile_source, name_of
from shared.integrations.notion import Notion
from shared.integrations.notion_values import plain
from shared.notion.markdown import from_notion
from shared.notion.placeholder_fixes import fixed
from shared.notion.schema import TEMPLATES, own_name

MAX_BODY = 100_000  # characters; Gmail cuts a message at 102 KB


@dataclass(frozen=True)
class Row:
    """A row as it is in Notion; empty values are "".

    Attributes:
        page: its id.
        edited: time of the last edit, to the minute, and who made it.
        error: the text in its column Error; None without such a column.
        live: whether its Status is Live, or there is no column Status.
    """

    page: str
    edited: str = ""
    template_id: str = ""
    campaign: str = ""
    subject: str = ""
    preview: str = ""
    error: str | None = None
    live: bool = True


def rows(notion: Notion, source: str, settings: Settings) -> list[Row]:
    """Every row, oldest first; raises NotionError.

    Args:
        notion: the workspace.
        source: the data source.
        settings: name the owner's columns.
    """
    # Notion gives only the minute; ids break ties, so that the order never changes.
    pages = sorted(notion.pages(source), key=lambda page: (page["created_time"], page["id"]))
    if pages and _types(pages[0]) != {name: column.type for name, column in notion.schema(source).items()}:
        notion.schema(source, fresh=True)  # a column has just changed
    return [_row(page, settings.notion_property_names) for page in pages]


def _types(page: Mapping[str, Any]) -> dict[str, str]:
    return {name: property["type"] for name, property in page["properties"].items()}


def _row(page: Mapping[str, Any], names: Mapping[str, str]) -> Row:
    columns = {
        column.name: page["properties"].get(own_name(column.name, TEMPLATES, names))
        for column in (*TEMPLATES.properties, *TEMPLATES.own)
    }
    texts = {name: " ".join((plain(column) or "").split()) for name, column in columns.items()}
    return Row(
        page=str(page["id"]),
        edited=f"{page['last_edited_time']} {page['last_edited_by']['id']}",
        template_id=texts["Template ID"].removesuffix(".md"),
        campaign=texts["Campaign"],
        subject=texts["Subject"],
        preview=texts["Preview"],
        error=None if columns["Error"] is None else texts["Error"],
        live=columns["Status"] is None or texts["Status"].lower() == "live",
    )


def key_of(row: Row, catalog: Catalog) -> Key:
    """The template that a row is for. Its campaign (slug or name) matters only if two campaigns have a template with
    that id.

    Raises:
        CampaignError: there is none, or several fit; written for the owner.
    """
    if not row.template_id:
        raise CampaignError(
            'the row has no Template ID; write the name of its email there, such as "christmas_email_1"'
        )
    found = [key for key in catalog.sources if key[1] == row.template_id]
    named = [key for key in found if row.campaign.lower() in (key[0], catalog.campaigns[key[0]].name.lower())]
    if len(named or found) == 1:
        return (named or found)[0]
    if found:
        campaigns = " or ".join(catalog.campaigns[slug].name for slug, _ in found)
        raise CampaignError(f"several campaigns have an email {row.template_id!r}; set Campaign to {campaigns}")
    close = difflib.get_close_matches(row.template_id, [template for _, template in catalog.sources], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "; `evergreen templates push` makes a row for each email"
    raise CampaignError(f"no campaign has an email {row.template_id!r}{hint}")


def source_of(row: Row, body: str) -> str:
    """A row and its page as a template's source, with every placeholder fixed.

    Args:
        row: gives the subject, and the preview unless the page starts with a line `Preview: …`.
        body: the page in Notion's Markdown.

    Raises:
        CampaignError: a sentence for the owner.
    """
    if not row.subject:
        raise CampaignError('there is no subject; fill in the column "Subject"')
    if len(body) > MAX_BODY:
        raise CampaignError(
            f"the page has {len(body):,} characters, and Gmail would cut the email; keep it below {MAX_BODY:,}"
        )
    text = from_notion(body)
    preview = row.preview
    if first := re.match(r"Preview:[ \t]*(.*)\n*", text):
        preview, text = preview or re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", first[1]), text[first.end() :]
    if not text.strip():
        raise CampaignError("the page is empty; write the email on it")
    headers = [f"Subject: {row.subject}", *([f"Preview: {preview}"] if preview else [])]
    return fixed("\n".join([*headers, "", text, ""]))


def fault_of(source: str, key: Key, catalog: Catalog, settings: Settings) -> str:
    """The fault of a source, in a sentence for the owner that quotes the line; "" if it is a valid email."""
    try:
        compile_source(source, key, catalog, settings)
    except CampaignError as error:
        _, _, rest = str(error).partition(f"{name_of(key)}.md:")
        number, _, reason = rest.partition(": ")
        line = source.split("\n")[int(number) - 1].strip()
        quoted = line if len(line) <= 80 else f"{line[:80]}…"
        where = f" (in “{quoted}”)" if line else ""
        return masked(reason + where, limit=600)
    return ""
