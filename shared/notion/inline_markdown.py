"""Converts the words within one block of Notion's Markdown to ours: links, dates, files, placeholders and tags."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date

from shared.core.errors import CampaignError

_HELD_BY_NOTION = re.compile(
    r"attachment:|file:|https?://[^/)]{0,200}(?:notion-static|prod-files-secure|file\.notion)|[^\s()]{0,1000}[?&]X-Amz-",
    re.IGNORECASE,
)
# Every repetition is bounded: no pasted text may keep the scheduler busy.
_CODE = re.compile(r"(`{1,3}[^`]{1,1000}`{1,3})")
_PLACEHOLDER = re.compile(r"(?:\\?\{){2}([^{}\n]{0,200}?)(?:\\?\}){2}")
_STASHED = re.compile("\ue000(\\d+)\ue001")
_TYPED_LINK = re.compile(
    r"\\\[((?:[^\[\]\\]|\\[^\[\]]){0,300})\\\]\((?:\[[^\[\]]{0,500}\]\(([^()\s]{0,500})\)|((?:[^()\n]|\([^()\n]{0,99}\)){0,500}))\)"
)
_TYPED_TAG = re.compile(r"\\<\s*/?\s*([A-Za-z][\w-]*)(?=[\s/\\>])(?:(?!\\<).){0,300}?\\?>")
_FILE = re.compile(r'<(file|audio|video|pdf)\b[^<>]{0,99}?src="([^"<]{0,2000})"[^<>]{0,500}>([^<]{0,500})</\1>')
_DATE = re.compile(r'<mention-date\b[^<>]{0,99}?start="(\d{4}-\d\d-\d\d)[^"<>]{0,99}"[^<>]{0,300}>')
_LOST = re.compile(r'<unknown\b(?:[^<>]{0,2000}?\balt="([^"<>]{1,100})")?')
_LOST_NAMES = {"bookmark": "a bookmark", "embed": "an embedded page", "link_preview": "a link preview"}
_STRUCK = re.compile(r"(?<!\\)~~(?=\S).{1,2000}?(?<!\\)~~")
_EQUATION = re.compile(r"(?<!\\)\$`?([^$`\n]{1,500}?)`?(?<!\\)\$")
_CITATION = re.compile(r"(?<!\\)\[\^[^\[\]]{0,500}\](?!\()")
_TAG = re.compile(r"(?<!\\)</?[A-Za-z][\w-]*(?:\s[^<>]{0,2000})?/?>")


def inline(text: str) -> str:
    """The words of one block, as templates are written.

    Placeholders are taken out first, so that they are not read as Notion's Markdown.

    Raises:
        CampaignError: one sentence on what an email cannot show.
    """
    taken: list[str] = []

    def take(found: re.Match[str]) -> str:
        taken.append("{{" + re.sub(r"<[^<>]*>|(?<!\\)[*~]+|\\(?=[!-/:-@\[-`{-~])", "", found[1]) + "}}")
        return f"\ue000{len(taken) - 1}\ue001"

    parts = _CODE.split(_PLACEHOLDER.sub(take, text))
    parts[::2] = map(_words, parts[::2])
    return _STASHED.sub(lambda found: taken[int(found[1])], "".join(parts))


def _words(text: str) -> str:
    text = _TYPED_LINK.sub(_link, text)
    if tag := _TYPED_TAG.search(text):
        raise CampaignError(
            f"<{tag[1]}> is an HTML tag, which an email would show as text; remove it and use Notion's own formatting"
        )
    if lost := _LOST.search(text):
        kind = (lost[1] or "").replace("_", " ")
        name = _LOST_NAMES.get(lost[1], f"a block of the kind “{kind}”" if kind else "one of the page's blocks")
        raise CampaignError(f"{name} cannot be sent, as Notion does not say what it shows; replace it with a link")
    text = _FILE.sub(lambda found: f"[{found[3].strip() or found[1]}]({found[2]})", text)
    if re.search(r"\]\((?=" + _HELD_BY_NOTION.pattern + ")", text, re.IGNORECASE):
        raise CampaignError(
            "a picture or file is stored in Notion, where its address expires within an hour; put it on your website "
            "and link to it there"
        )
    text = re.sub(r"\((?:https?://)?(?:www\.notion\.(?:so|com)/)?(\ue000\d+\ue001)/?\)", r"(\1)", text)
    text = _DATE.sub(_day, text)
    text = re.sub(r"(?<!\\)<br\s*/?>", "\\\\\n", text)
    text = _CITATION.sub("", _TAG.sub("", _STRUCK.sub("", text)))
    return _EQUATION.sub(r"`\1`", re.sub(r"(?<!\\)_", r"\\_", text))


def _day(mention: re.Match[str]) -> str:
    with suppress(ValueError):
        day = date.fromisoformat(mention[1])
        return f"{day:%B} {day.day}, {day.year}"
    return mention[1]


def _link(typed: re.Match[str]) -> str:
    """A link written as text on the page, with the backslashes that Notion puts before its brackets."""
    address = re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", typed[2] or typed[3] or "")
    return f"[{typed[1]}]({address})"
