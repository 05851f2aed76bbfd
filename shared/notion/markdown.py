r"""Converts Notion's Markdown to ours and back: https://developers.notion.com/guides/data-apis/enhanced-markdown.

Notion writes one block a line without empty lines, indents children with tabs, puts a backslash before \ * ~ ` $ [ ] <
> { } | ^, and uses tags for what Markdown lacks (callouts, columns, colors, mentions). In an email a callout becomes
a quotation, a toggle a bold line above its text, columns follow one another, a table becomes a list with one item per
row, an equation becomes code, a checkbox ☐ or ☑. Colors, underlines and struck-out text are dropped. No tag ever
reaches an email.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import unquote

from shared.core.errors import CampaignError

_BOXES = "callout|columns?|details|synced_block(?:_reference)?|table|meeting-notes"
_ICON = re.compile(r'icon="([^"\x00-\x7f]+)"')
_ATTRIBUTES = re.compile(r'\s*\{(?:\s*[\w-]+="[^"]*")+\s*\}$')
_CELL = re.compile(r"<td\b[^>]*>(.*?)</td>", re.DOTALL)
_LIST = re.compile(r"(?P<marker>[-*+]|\d+[.)])\s+(?:\[(?P<tick>[ xX])\]\s+)?(?P<words>.*)")
_NOTHING = re.compile(r"(?:<empty-block\s*/>|<table_of_contents\b[^>]*>|<(page|database)\b[^>]*>.*?</\1>)?")
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
_LOST = re.compile(r"<unknown\b")
_STRUCK = re.compile(r"(?<!\\)~~(?=\S).{1,2000}?(?<!\\)~~")
_EQUATION = re.compile(r"(?<!\\)\$`?([^$`\n]{1,500}?)`?(?<!\\)\$")
_CITATION = re.compile(r"(?<!\\)\[\^[^\[\]]{0,500}\](?!\()")
_TAG = re.compile(r"(?<!\\)</?[A-Za-z][\w-]*(?:\s[^<>]{0,2000})?/?>")


@dataclass(eq=False)
class _Box:
    """A block that holds others.

    Attributes:
        kind: the name of its tag.
        icon: what its first line starts with.
    """

    kind: str
    icon: str = ""


@dataclass
class _Page:
    """What has been converted so far.

    Attributes:
        boxes: the open ones.
        levels: indentation of the open list items.
        blocks: the Markdown of each block, the callouts around it, and the list it belongs to.
    """

    boxes: list[_Box] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    blocks: list[tuple[str, list[_Box], str]] = field(default_factory=list)

    def add(self, text: str, depth: int, *, item: str = "") -> None:
        """Add a block with this indentation."""
        depth = max(0, depth - len(self.boxes))
        self.levels = [level for level in self.levels if level < depth]
        indent = "    " * len(self.levels)
        if item:
            self.levels.append(depth)
        callouts = [box for box in self.boxes if box.kind == "callout"]
        if callouts and callouts[-1].icon:
            text, callouts[-1].icon = f"{callouts[-1].icon} {text}", ""
        lead = "> " * len(callouts) + indent
        self.blocks.append(("\n".join(lead + line for line in text.split("\n")), callouts, item and f"{depth} {item}"))

    def text(self) -> str:
        """All of it."""
        text = ""
        for index, (block, callouts, item) in enumerate(self.blocks):
            if index:
                _, before, item_before = self.blocks[index - 1]
                shared = sum(1 for one, other in zip(before, callouts, strict=False) if one is other)
                together = (
                    item and item_before and before == callouts and (item == item_before or item[0] != item_before[0])
                )
                text += "\n" if together else "\n" + ">" * shared + "\n"
            text += block
        return text


def from_notion(text: str) -> str:
    """A page's body as templates are written.

    Args:
        text: what Notion's Markdown endpoint returns.

    Raises:
        CampaignError: one sentence on what an email cannot show.
    """
    text = re.sub(r"%7B%7B(.{0,200}?)%7D%7D", lambda found: unquote(found[0]), re.sub("[\ue000\ue001]", "", text))
    text = re.sub(rf"(?<!\\)(<(?:{_BOXES})\b[^>\n]*>)(?=[^\n])", r"\1\n", text)
    text = re.sub(rf"(?<=[^\n\t])(?<!\\)(</(?:{_BOXES})>)", r"\n\1", text)
    page, lines = _Page(), iter(text.split("\n"))
    for line in lines:
        _convert(line, lines, page)
    return page.text()


def _convert(line: str, lines: Iterator[str], page: _Page) -> None:
    """Convert the block that starts with a line; consumes its lines."""
    words = line.strip()
    depth = len(line) - len(line.lstrip("\t"))
    if _NOTHING.fullmatch(words):
        return
    if words.startswith("```"):
        page.add("\n".join([words, *(one.removeprefix("\t" * depth) for one in _until("```", lines)), "```"]), depth)
    elif words == "$$":
        page.add("\n".join(["```", *(one.strip() for one in _until("$$", lines)), "```"]), depth)
    elif words.startswith("<table") and words.endswith(">"):
        for row in "\n".join(_until("</table>", lines)).split("</tr>")[:-1]:
            page.add("- " + " · ".join(_inline(" ".join(cell.split())) for cell in _CELL.findall(row)), depth, item="-")
    elif opened := re.fullmatch(rf"<({_BOXES})\b[^>]*>", words):
        icon = _ICON.search(words)
        page.boxes.append(_Box(opened[1], icon[1] if icon else ""))
    elif re.fullmatch(rf"</(?:{_BOXES})>", words):
        del page.boxes[-1:]
    else:
        _add_words(_ATTRIBUTES.sub("", words), depth, page)


def _until(end: str, lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line.strip() == end:
            return
        yield line


def _add_words(words: str, depth: int, page: _Page) -> None:
    if heading := re.fullmatch(r"(#{1,6})\s+(.*)", words):
        page.add(f"{heading[1]} " + _inline(heading[2]).replace("\\\n", " "), depth)
    elif match := _LIST.fullmatch(words):
        tick = {None: "", " ": "☐ "}.get(match["tick"], "☑ ")
        hanging = " " * (len(match["marker"]) + 1)
        page.add(
            f"{match['marker']} {tick}" + _inline(match["words"]).replace("\n", f"\n{hanging}"),
            depth,
            item=match["marker"][-1],
        )
    elif words.startswith(">"):
        page.add("> " + _inline(words[1:].lstrip()).replace("\n", "\n> "), depth)
    elif summary := re.fullmatch(r"<summary>(.*)</summary>", words):
        page.add(f"**{_inline(summary[1]).strip('*')}**", depth)
    elif text := _inline(words).strip():
        page.add(text, depth)


def _inline(text: str) -> str:
    """The words of one block.

    Placeholders are taken out first, so that they are not read as Notion's Markdown."""
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
    if _LOST.search(text):
        raise CampaignError(
            "the page has a block that an email cannot show (a bookmark or an embed); replace it with a link"
        )
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


def to_notion(body: str) -> str:
    """A template's body in Notion's form: one paragraph per line, braces with backslashes, a link to a placeholder as
    text.

    Notion refuses a link without a valid address, so `[Book a call]({{ booking_url }})` is text there, and is read back
    as a link.

    Args:
        body: Markdown without its subject and preview.
    """
    text = re.sub(r"(?<=\S)(?<!\\)\n(?![ \t]*(?:[-*+>#]|\d+[.)]|```|\n|$))(?=\S)", " ", body.strip())
    text = re.sub(r"\\\n\s*", "<br>", text)
    text = re.sub(r"\[([^\[\]\n]*)\]\(([^()\n]*\{\{[^()\n]*)\)", r"\\[\1\\](\2)", text)
    text = re.sub(r"\{\{.*?\}\}", lambda found: re.sub(r"([{}|<>\[\]*~`$^])", r"\\\1", found[0]), text)
    return re.sub(
        r"(?m)^((?: {2,4})+)(?=\S)", lambda found: "\t" * ((len(found[1]) + 2) // 4), re.sub(r"\n{2,}", "\n", text)
    )
