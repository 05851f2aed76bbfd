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
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import unquote

from shared.core.errors import CampaignError
from shared.notion.inline_markdown import inline

_BOXES = "callout|columns?|details|synced_block(?:_reference)?|table"
_ICON = re.compile(r'icon="([^"\x00-\x7f]+)"')
_ATTRIBUTES = re.compile(r'\s*\{(?:\s*[\w-]+="[^"]*")+\s*\}$')
_CELL = re.compile(r"<td\b[^>]*>(.*?)</td>", re.DOTALL)
_LIST = re.compile(r"(?P<marker>[-*+]|\d+[.)])\s+(?:\[(?P<tick>[ xX])\]\s+)?(?P<words>.*)")
_NOTHING = re.compile(r"(?:<empty-block\s*/>|<table_of_contents\b[^>]*>|<page\b[^>]*>.*?</page>)?")
_REFUSED = {
    "<database": "a database cannot be sent; write a list, or a link to it",
    "<meeting-notes": "meeting notes cannot be sent; copy what should be sent onto the page",
}


@dataclass(eq=False)
class _Box:
    """A block that holds others.

    Attributes:
        kind: the name of its tag.
        icon: what its first line starts with.
    """

    kind: str
    icon: str = ""


_Block = tuple[str, list[_Box], str]  # its Markdown, the callouts around it, and the list it belongs to


@dataclass
class _Page:
    """What has been converted so far.

    Attributes:
        boxes: the open ones.
        levels: indentation of the open list items.
        blocks: what has been added.
    """

    boxes: list[_Box] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)

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
        gaps = ["", *(_gap(above, below) for above, below in pairwise(self.blocks))]
        return "".join(gap + block for gap, (block, _, _) in zip(gaps, self.blocks, strict=False))


def _gap(above: _Block, below: _Block) -> str:
    """What separates two blocks: an empty line in the callouts that both are in, none within a list."""
    (_, before, item_before), (_, callouts, item) = above, below
    same_list = item and item_before and before == callouts and (item == item_before or item[0] != item_before[0])
    shared = sum(1 for one, other in zip(before, callouts, strict=False) if one is other)
    return "\n" if same_list else "\n" + ">" * shared + "\n"


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
    if reason := next((why for tag, why in _REFUSED.items() if words.startswith(tag)), ""):
        raise CampaignError(reason)
    if words.startswith("```"):
        page.add("\n".join([words, *(one.removeprefix("\t" * depth) for one in _until("```", lines)), "```"]), depth)
    elif words == "$$":
        page.add("\n".join(["```", *(one.strip() for one in _until("$$", lines)), "```"]), depth)
    elif words.startswith("<table") and words.endswith(">"):
        for row in "\n".join(_until("</table>", lines)).split("</tr>")[:-1]:
            page.add("- " + " · ".join(inline(" ".join(cell.split())) for cell in _CELL.findall(row)), depth, item="-")
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
        page.add(f"{heading[1]} " + inline(heading[2]).replace("\\\n", " "), depth)
    elif match := _LIST.fullmatch(words):
        tick = {None: "", " ": "☐ "}.get(match["tick"], "☑ ")
        hanging = " " * (len(match["marker"]) + 1)
        page.add(
            f"{match['marker']} {tick}" + inline(match["words"]).replace("\n", f"\n{hanging}"),
            depth,
            item=match["marker"][-1],
        )
    elif words.startswith(">"):
        page.add("> " + inline(words[1:].lstrip()).replace("\n", "\n> "), depth)
    elif summary := re.fullmatch(r"<summary>(.*)</summary>", words):
        page.add(f"**{inline(summary[1]).replace('**', '')}**", depth)
    elif text := inline(words).strip():
        page.add(text, depth)


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
