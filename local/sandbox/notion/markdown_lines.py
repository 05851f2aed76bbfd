"""A page's blocks as the lines of Notion's Markdown, see `markdown`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.sandbox.notion import inline, richtext
from local.sandbox.notion.blocks import HEADINGS, Block

EMPTY = "<empty-block/>"
BOXES = {"callout": "callout", "details": "toggle", "columns": "column_list", "column": "column"}
_MARKER = re.compile(r"(?:#{1,6}|[-+]|\d+[.)])(?=\s)|>|-{3,}$|!(?=\[)|<(?=/?[a-z])")


def render(blocks: list[Block], *, for_people: bool = False) -> str:
    """Blocks as Notion writes them.

    Args:
        blocks: the blocks.
        for_people: with only the backslashes that `parse` needs to return the same blocks.
    """
    return "\n".join(_lines(blocks, inline.SPECIAL_TO_PARSE if for_people else inline.SPECIAL, ""))


def _lines(blocks: list[Block], special: re.Pattern[str], indent: str) -> Iterator[str]:
    number = 0
    for one in blocks:
        number = number + 1 if one.kind == "numbered_list_item" else 0
        if one.kind in BOXES.values() or one.kind == "table":
            yield from _box_lines(one, special, indent)
        else:
            yield indent + _line(one, number, special)
            yield from _lines(one.children, special, indent + "\t")


def _box_lines(one: Block, special: re.Pattern[str], indent: str) -> Iterator[str]:
    """A block that is written between two tags."""
    if one.kind == "table":
        looks = {"header-row": one.content["has_column_header"], "header-column": one.content["has_row_header"]}
        yield indent + _tag("table", {name: "true" if is_there else None for name, is_there in looks.items()})
        for row in one.children:
            cells = [f"<td>{inline.render(cell, special)}</td>" for cell in row.content["cells"]]
            yield from (indent + line for line in ("<tr>", *cells, "</tr>"))
        yield f"{indent}</table>"
        return
    tag = next(tag for tag, kind in BOXES.items() if kind == one.kind)
    color, icon = one.content.get("color", "default"), one.content.get("icon") or {}
    looks = {"icon": icon.get("emoji"), "color": None if color == "default" else color}
    yield indent + _tag(tag, looks)
    words = inline.render(one.content.get("rich_text", []), special)
    if one.kind == "callout":
        yield f"{indent}\t{_marked(words)}"
    elif one.kind == "toggle":
        yield f"{indent}<summary>{words}</summary>"
    yield from _lines(one.children, special, indent + "\t")
    yield f"{indent}</{tag}>"


def _tag(name: str, looks: dict[str, str | None]) -> str:
    return "<" + " ".join([name, *(f'{key}="{look}"' for key, look in looks.items() if look)]) + ">"


def _marked(words: str) -> str:
    """The words of a paragraph, with a backslash if they would be read as another block."""
    marker = _MARKER.match(words)
    return f"{words[: marker.end() - 1]}\\{words[marker.end() - 1 :]}" if marker else words or EMPTY


def _line(one: Block, number: int, special: re.Pattern[str]) -> str:
    match one.kind:
        case "divider":
            return "---"
        case "image":
            return f"![{inline.render(one.content['caption'], special)}]({one.content['external']['url']})"
        case "bookmark" if special is inline.SPECIAL_TO_PARSE:
            caption = inline.render(one.content["caption"], special)
            return f'<bookmark url="{one.content["url"]}">{caption}</bookmark>'
        case "bookmark":  # Notion does not say where it leads
            return '<unknown url="https://www.notion.so/a-page#a-block" alt="bookmark"/>'
        case "code":
            language = one.content["language"]
            words = richtext.plain(one.content["rich_text"])
            return f"```{'' if language == 'plain text' else language}\n{words}\n```"
    words = inline.render(one.content["rich_text"], special)
    if one.kind == "paragraph":
        words = _marked(words)
    prefix = {
        **{heading: "#" * level + " " for level, heading in enumerate(HEADINGS, 1)},
        "bulleted_list_item": "- ",
        "numbered_list_item": f"{number}. ",
        "to_do": "- [x] " if one.content.get("checked") else "- [ ] ",
        "quote": "> ",
    }.get(one.kind, "")
    color = one.content["color"]
    looks = ['toggle="true"'] if one.content.get("is_toggleable") else []
    looks += [] if color == "default" else [f'color="{color}"']
    return prefix + words + (f" {{{' '.join(looks)}}}" if looks else "")
